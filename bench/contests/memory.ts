import { type JobKind } from '../../src/shared/jobs.js';
import { access, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { BackupJob } from '../../src/entities/index.js';
import { acceptBackup, acceptValidation } from '../../src/producers/accept/index.js';
import { sidecarsOf } from '../../src/services/repository/layout.js';
import { makeDisk } from '../../test/helpers/disks.js';
import { openFleet, type TestFleet } from '../../test/helpers/fleet.js';
import { startWorkerProcess } from '../../test/helpers/workerProcess.js';
import { completed } from '../bed.js';
import type { Sizes } from '../sizes.js';

const PIECES = 200;
const PIECE_BYTES = 4096;

/**
 * Peak memory, in bytes, of a worker process after a full and a comparison of a sparse disk, of another after a deep
 * validation of the two, and of a third after one that had to build both digest indexes anew.
 */
export interface WorkerMemory {
  diskBytes: number;
  peakBytes: number;
  validationPeakBytes: number;
  rebuildPeakBytes: number;
}

/** What a whole job needs in memory, for a disk of a usual size and for one a thousand times as large. */
export async function memoryContest(sizes: Sizes): Promise<WorkerMemory[]> {
  const fleet = await openFleet();
  try {
    const measured: WorkerMemory[] = [];
    for (const diskBytes of sizes.sparseBytes) {
      measured.push({ diskBytes, ...(await peaksOf(fleet, diskBytes)) });
    }
    return measured;
  } finally {
    await fleet.close();
  }
}

async function peaksOf(fleet: TestFleet, diskBytes: number): Promise<Omit<WorkerMemory, 'diskBytes'>> {
  const path = join(fleet.sources, `sparse-${diskBytes}.raw`);
  const step = Math.floor(diskBytes / PIECES);
  const pieces = Array.from({ length: PIECES }, (_, piece) => [piece * step, PIECE_BYTES] as const);
  await makeDisk(path, diskBytes, pieces);
  try {
    let chainId = '';
    const peakBytes = await peakOf(fleet, 'backup', async () => {
      for (const type of ['full', 'incremental'] as const)
        chainId = await backUp(fleet, path, diskBytes, type);
    });
    const validationPeakBytes = await peakOf(fleet, 'maintenance', () => validate(fleet, chainId));
    await removeIndexes(fleet, chainId);
    const rebuildPeakBytes = await peakOf(fleet, 'maintenance', () => validate(fleet, chainId));
    await assertRebuilt(fleet, chainId);
    return { peakBytes, validationPeakBytes, rebuildPeakBytes };
  } finally {
    await rm(path);
  }
}

/** @returns the chain of the disk */
async function backUp(
  fleet: TestFleet,
  path: string,
  diskBytes: number,
  type: 'full' | 'incremental',
): Promise<string> {
  const answer = await acceptBackup(fleet.accept, {
    vm_name: `sparse-${diskBytes}`,
    repository_id: 'main',
    backup_type: type,
    disks: [{ disk_id: 0, source: { type: 'file', path, format: 'raw' } }],
  });
  const id = answer.disk_results[0]?.backup_id ?? '';
  await completed(fleet, id);
  return (await fleet.suite.ds.getRepository(BackupJob).findOneByOrFail({ id })).chainId;
}

async function validate(fleet: TestFleet, chainId: string): Promise<void> {
  const { job_id } = await acceptValidation(fleet.accept, { chainId, level: 'deep' });
  await completed(fleet, job_id);
}

async function indexesOf(fleet: TestFleet, chainId: string): Promise<string[]> {
  const rows = await fleet.suite.ds.getRepository(BackupJob).findBy({ chainId });
  return rows.map(({ repositoryPath }) =>
    join(fleet.repositoryRoot, sidecarsOf(repositoryPath ?? '').digests),
  );
}

async function removeIndexes(fleet: TestFleet, chainId: string): Promise<void> {
  for (const path of await indexesOf(fleet, chainId)) await rm(path);
}

/** A validation that leaves them away would need little memory, too. */
async function assertRebuilt(fleet: TestFleet, chainId: string): Promise<void> {
  for (const path of await indexesOf(fleet, chainId)) await access(path);
}

/** Peak memory of a new worker process that did this work. */
async function peakOf(fleet: TestFleet, kind: JobKind, work: () => Promise<void>): Promise<number> {
  const worker = startWorkerProcess(fleet, kind);
  try {
    await work();
    return await peakMemory(worker.child.pid ?? 0);
  } finally {
    await worker.stop();
  }
}

/** VmHWM of proc(5): the largest resident set so far; given in KiB. */
async function peakMemory(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024;
}
