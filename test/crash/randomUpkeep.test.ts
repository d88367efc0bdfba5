import { join } from 'node:path';
import { expect } from 'chai';
import { In } from 'typeorm';
import { changePolicy, createPolicy } from '../../src/db/policy/policies.js';
import {
  BackupJob,
  type ConsolidateParams,
  MaintenanceJob,
  type RequestedType,
} from '../../src/entities/index.js';
import {
  acceptBackup,
  acceptConsolidation,
  acceptRemoval,
  acceptValidation,
} from '../../src/producers/accept/index.js';
import { acceptSyntheticFull } from '../../src/producers/accept/syntheticFull.js';
import { createConsolidator } from '../../src/producers/keeper/consolidate.js';
import { retain } from '../../src/producers/keeper/retention.js';
import { compareImages } from '../../src/qcow2/index.js';
import { isStrataError } from '../../src/shared/errors.js';
import { openFleet, type TestFleet } from '../helpers/fleet.js';
import { createLiveDisk, type LiveDisk } from '../helpers/liveDisk.js';
import { createRandom, type Random } from '../helpers/random.js';
import { startWorkerProcess } from '../helpers/workerProcess.js';

const SIZE = 6 * 1024 * 1024 + 1536;
const STEPS = Number(process.env.STRATA_UPKEEP_STEPS ?? 10);
const SEEDS = (process.env.STRATA_UPKEEP_SEEDS ?? '4').split(',').map(Number);
const LEASE_MS = 1_500;

const POLICY = {
  name: 'upkeep',
  enabled: true,
  schedule: null,
  timeZone: 'UTC',
  jitterSeconds: 0,
  backupType: 'auto' as const,
  fullEvery: null,
  fullAfterDays: null,
  verify: null,
  nextRunAt: null,
};

interface Point {
  backupId: string;
  saved: string;
}

interface State {
  fleet: TestFleet;
  disk: LiveDisk;
  random: Random;
  chainId: string;
  vmContextId: string;
  policyId: string;
  points: Point[];
  kills: number;
}

/** Waits for a job that a worker process works on, which may be killed at it; others then take over. */
async function finish(state: State, jobId: string): Promise<void> {
  const { fleet, random } = state;
  const kind = jobId.startsWith('mnt_') ? 'maintenance' : 'backup';
  if (random.integer(0, 2) === 0) {
    const worker = startWorkerProcess(fleet, kind, {
      STRATA_TEST_KILL_AT: String(random.integer(1, 70)),
      STRATA_TEST_KILL_ROOT: fleet.repositoryRoot,
    });
    const end = await Promise.race([worker.gone, fleet.ended(jobId).then(() => 'ended')]);
    if (end === 'SIGKILL') state.kills++;
    await worker.stop();
    await fleet.accept.clock.sleep(end === 'SIGKILL' ? LEASE_MS + 200 : 0);
  }
  await fleet.sweep();
  fleet.work();
  const end = await fleet.ended(jobId);
  await fleet.stopWorking();
  expect(end.status, `seed ${random.seed}: ${end.error_code}: ${end.error_detail}`).to.equal('completed');
}

async function backUp(state: State, type: RequestedType): Promise<void> {
  const { fleet, disk, points, random } = state;
  await disk.mutate();
  if (random.integer(0, 4) === 0) await disk.grow();
  const answer = await acceptBackup(fleet.accept, {
    vm_name: 'live',
    repository_id: 'main',
    backup_type: type,
    disks: [{ disk_id: 0, source: { type: 'file', path: disk.path, format: 'qcow2' } }],
  });
  const backupId = answer.disk_results[0]?.backup_id ?? '';
  await finish(state, backupId);
  const saved = join(fleet.suite.tempDir, `${backupId}.saved`);
  await disk.save(saved);
  points.push({ backupId, saved });
  const row = await fleet.suite.ds.getRepository(BackupJob).findOneByOrFail({ id: backupId });
  state.chainId = row.chainId;
  state.vmContextId = row.vmContextId;
}

async function removeOne(state: State): Promise<void> {
  const point = state.random.pick(state.points);
  try {
    const { chains } = await acceptRemoval(
      state.fleet.accept,
      { kind: 'backup', id: point.backupId },
      { dryRun: false },
    );
    state.points = state.points.filter((each) => each !== point);
    for (const { job } of chains) if (job) await finish(state, job.job_id);
  } catch (error) {
    // A full with several upon it stays, and says so.
    if (!isStrataError(error, 'backup_in_use')) throw error;
  }
}

async function keepSome(state: State): Promise<void> {
  const { fleet, random, chainId } = state;
  const keep = state.points.filter(() => random.integer(0, 2) > 0);
  if (keep.length === 0) return;
  const ids = keep.map(({ backupId }) => backupId);
  const { chains } = await acceptConsolidation(fleet.accept, { chainId, keep: ids, dryRun: false });
  const refused = chains.flatMap((chain) => chain.refused.map(({ backup_id }) => backup_id));
  state.points = state.points.filter(({ backupId }) => ids.includes(backupId) || refused.includes(backupId));
  for (const { job } of chains) if (job) await finish(state, job.job_id);
}

/** The VM's policy keeps some of the newest from now on; the keeper removes the others. */
async function retainSome(state: State): Promise<void> {
  const { fleet, random, vmContextId } = state;
  const { ds } = fleet.suite;
  const keep = { last: random.integer(2, 5) };
  if (state.policyId === '') {
    const { policy } = await createPolicy(ds, { ...POLICY, keep }, [vmContextId], fleet.accept.clock.now());
    state.policyId = policy.id;
  } else await changePolicy(ds, state.policyId, { keep }, undefined);
  await retain(fleet.accept, 0);
  const jobs = ds.getRepository(MaintenanceJob);
  const job = await jobs.findOneBy({ type: 'consolidate', status: In(['queued', 'released']) });
  if (!job) return;
  const { remove } = job.params as ConsolidateParams;
  await finish(state, job.id);
  const { result } = await jobs.findOneByOrFail({ id: job.id });
  const refused = (result?.['refused'] ?? []) as { backup_id: string }[];
  const stayed = refused.map(({ backup_id }) => backup_id);
  state.points = state.points.filter(
    ({ backupId }) => !remove.includes(backupId) || stayed.includes(backupId),
  );
}

async function validate(state: State): Promise<void> {
  const { fleet, chainId } = state;
  const { job_id } = await acceptValidation(fleet.accept, { chainId, level: 'quick' });
  await finish(state, job_id);
  const job = await fleet.suite.ds.getRepository(MaintenanceJob).findOneByOrFail({ id: job_id });
  expect(job.result, JSON.stringify(job.result)).to.include({ healthy: true });
}

async function step(state: State): Promise<string> {
  const what = state.random.pick([
    'backup',
    'backup',
    'backup',
    'remove',
    'keep',
    'retention',
    'synthetic full',
    'validate',
    'keeper',
  ]);
  if (what === 'backup' || state.points.length < 3) {
    await backUp(
      state,
      state.random.pick(['incremental', 'incremental', 'incremental', 'differential', 'full']),
    );
  } else if (what === 'remove') await removeOne(state);
  else if (what === 'keep') await keepSome(state);
  else if (what === 'retention') await retainSome(state);
  else if (what === 'synthetic full')
    await finish(state, (await acceptSyntheticFull(state.fleet.accept, state.chainId)).job_id);
  else if (what === 'validate') await validate(state);
  else await createConsolidator(state.fleet.accept, 4)();
  return what;
}

/** Every point by plain qemu-img, and no point more or less in the catalogue. */
async function compareAll({ fleet, points }: State, context: string): Promise<void> {
  const rows = await fleet.suite.ds.getRepository(BackupJob).find({ where: { status: 'completed' } });
  expect(
    rows.map(({ id }) => id),
    context,
  ).to.have.members(points.map(({ backupId }) => backupId));
  for (const { backupId, saved } of points) {
    const path = join(fleet.repositoryRoot, rows.find(({ id }) => id === backupId)?.repositoryPath ?? '');
    const image = (file: string) => ({ type: 'file' as const, path: file, format: 'qcow2' as const });
    const { identical, message } = await compareImages(image(path), image(saved));
    expect(identical, `${context}: ${backupId}: ${message}`).to.equal(true);
  }
}

describe('Random rounds of backups, removals, merges and kills', () => {
  for (const seed of SEEDS) {
    it(`keep every point that nobody asked to remove (seed ${seed})`, async function () {
      this.timeout(STEPS * 60_000);
      const fleet = await openFleet({ lease: { leaseMs: LEASE_MS, renewEveryMs: 400, maxAttempts: 3 } });
      try {
        const random = createRandom(seed);
        const disk = await createLiveDisk(join(fleet.sources, 'live.qcow2'), SIZE, random);
        const state: State = {
          fleet,
          disk,
          random,
          chainId: '',
          vmContextId: '',
          policyId: '',
          points: [],
          kills: 0,
        };
        const did: string[] = [];
        for (let n = 0; n < STEPS; n++) {
          did.push(await step(state));
          await compareAll(state, `seed ${seed}, after ${did.join(', ')}`);
        }
        await validate(state);
        console.log(
          `      seed ${seed}: ${STEPS} steps, ${state.kills} workers killed, ${state.points.length} points, 0 lost`,
        );
      } finally {
        await fleet.close();
      }
    });
  }
});
