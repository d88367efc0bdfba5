import type { BackupDiskCreate } from '../src/contract/index.js';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { JOB_TABLES, kindOfJob } from '../src/db/job/kinds.js';
import { BackupJob, type ValidationLevel } from '../src/entities/index.js';
import {
  acceptBackup,
  acceptRemoval,
  acceptRestore,
  acceptValidation,
} from '../src/producers/accept/index.js';
import type { Extent } from '../src/shared/extents.js';
import { systemClock } from '../src/shared/clock.js';
import { openFleet, type TestFleet } from '../test/helpers/fleet.js';
import { type Timing } from './contest.js';
import { run } from './tools.js';
import { traceTools } from './trace.js';

/** A VM of one disk, whose changes the upstream follows. */
export interface Vm {
  name: string;
  disk: string;
  /** Change id of its latest backup. */
  changeId: number;
}

export type Backed = Timing & { id: string; vmContextId: string };

/** The system under test, as one user has it: default settings, real Redis, MariaDB, QEMU tools and disk. */
export interface Bed {
  fleet: TestFleet;
  /** For the files of the other side. */
  scratch: string;
  /** Full backup, or an increment of the extents, or by comparison where there are none. */
  backup(vm: Vm, what: 'full' | readonly Extent[] | 'compare'): Promise<Backed>;
  validate(chainId: string, level: ValidationLevel): Promise<Timing>;
  /** Removes a backup: merged away where another stands on it. */
  remove(backupId: string): Promise<Timing>;
  restore(backupId: string, path: string, verify?: boolean): Promise<Timing>;
  row(backupId: string): Promise<BackupJob>;
  /** Absolute path of a backup's image. */
  image(backupId: string): Promise<string>;
  removeFiles(vmContextId: string): Promise<void>;
  /** Waits until nothing is left to be written to the disk. */
  settle(): Promise<void>;
  close(): Promise<void>;
}

/** How often the end of a job is asked for. On the average half of it is in our times; more often would cost more. */
const POLL_MS = 8;
const POLL_LATER_MS = 25;
const LATER_MS = 500;
const DEADLINE_MS = 600_000;

export async function openBed(): Promise<Bed> {
  const fleet = await openFleet();
  fleet.work();
  const scratch = join(fleet.suite.tempDir, 'theirs');
  await mkdir(scratch);
  const row = (id: string) => fleet.suite.ds.getRepository(BackupJob).findOneByOrFail({ id });
  const measure = (accept: () => Promise<string>) => measureJob(fleet, accept);
  return {
    fleet,
    scratch,
    row,
    backup: (vm, what) => backup(fleet, vm, what),
    validate: (chainId, level) =>
      measure(async () => (await acceptValidation(fleet.accept, { chainId, level })).job_id),
    remove: (id) =>
      measure(async () => {
        const { chains } = await acceptRemoval(fleet.accept, { kind: 'backup', id }, { dryRun: false });
        return chains[0]?.job?.job_id ?? '';
      }),
    restore: (backup_id, path, verify) =>
      measure(async () => {
        const target = { type: 'file', path } as const;
        const proved = verify === undefined ? {} : { verify };
        return (await acceptRestore(fleet.accept, { backup_id, target, format: 'raw', ...proved }))
          .restore_id;
      }),
    image: async (id) => join(fleet.repositoryRoot, (await row(id)).repositoryPath ?? ''),
    removeFiles: (vmContextId) => rm(join(fleet.repositoryRoot, vmContextId), { recursive: true }),
    settle: async () => {
      await run('sync', '-f', fleet.suite.tempDir);
    },
    close: () => fleet.close(),
  };
}

async function backup(
  fleet: TestFleet,
  vm: Vm,
  what: 'full' | readonly Extent[] | 'compare',
): Promise<Backed> {
  const disk: BackupDiskCreate = {
    disk_id: 0,
    source: { type: 'file', path: vm.disk, format: 'raw' },
    change_id: `c${vm.changeId + 1}`,
  };
  if (typeof what !== 'string') {
    disk.since_change_id = `c${vm.changeId}`;
    disk.changed_extents = [...what];
  }
  const backup_type = what === 'full' ? 'full' : 'incremental';
  let vmContextId = '';
  const timing = await measureJob(fleet, async () => {
    const answer = await acceptBackup(fleet.accept, {
      vm_name: vm.name,
      repository_id: 'main',
      backup_type,
      // A full instead of an increment would be measured as one.
      ...(what === 'full' ? {} : { on_broken_chain: 'fail' as const }),
      disks: [disk],
    });
    vmContextId = answer.vm_context_id;
    return answer.disk_results[0]?.backup_id ?? '';
  });
  vm.changeId++;
  return { ...timing, vmContextId };
}

/** From the request to the moment at which anybody sees that it is completed. */
async function measureJob(fleet: TestFleet, accept: () => Promise<string>): Promise<Timing & { id: string }> {
  const began = performance.now();
  const trace = traceTools(began);
  try {
    const id = await accept();
    await completed(fleet, id);
    const ms = performance.now() - began;
    return { id, ms, tools: trace.stop() };
  } finally {
    trace.stop();
  }
}

/** Waits until the job has completed. */
export async function completed(fleet: TestFleet, id: string): Promise<void> {
  const began = performance.now();
  const sql = `SELECT status, error_code, error_detail FROM ${JOB_TABLES[kindOfJob(id) ?? 'backup']} WHERE id = ?`;
  for (;;) {
    const [job] = await fleet.suite.ds.query<{ status: string; error_code: string; error_detail: string }[]>(
      sql,
      [id],
    );
    if (job?.status === 'completed') return;
    const waited = performance.now() - began;
    const open = job !== undefined && ['queued', 'released', 'running'].includes(job.status);
    if (!open || waited > DEADLINE_MS) {
      throw new Error(`Job ${id} is ${job?.status}: ${job?.error_code} ${job?.error_detail}`);
    }
    await systemClock.sleep(waited < LATER_MS ? POLL_MS : POLL_LATER_MS);
  }
}
