import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { acceptBackup } from '../../src/producers/accept/index.js';
import { makeDisk } from '../../test/helpers/disks.js';
import { openFleet, type TestFleet } from '../../test/helpers/fleet.js';
import { startWorkerProcess } from '../../test/helpers/workerProcess.js';
import type { Sizes } from '../sizes.js';

const PIECES = 200;
const PIECE_BYTES = 4096;
const DEADLINE_MS = 600_000;

/** Peak memory of a worker process after a full and a comparison of a sparse disk, in bytes. */
export interface WorkerMemory {
  diskBytes: number;
  peakBytes: number;
}

/** What a whole job needs in memory, for a disk of a usual size and for one a thousand times as large. */
export async function memoryContest(sizes: Sizes): Promise<WorkerMemory[]> {
  const fleet = await openFleet();
  try {
    const measured: WorkerMemory[] = [];
    for (const diskBytes of sizes.sparseBytes) {
      measured.push({ diskBytes, peakBytes: await peakOf(fleet, diskBytes) });
    }
    return measured;
  } finally {
    await fleet.close();
  }
}

async function peakOf(fleet: TestFleet, diskBytes: number): Promise<number> {
  const path = join(fleet.sources, `sparse-${diskBytes}.raw`);
  const step = Math.floor(diskBytes / PIECES);
  const pieces = Array.from({ length: PIECES }, (_, piece) => [piece * step, PIECE_BYTES] as const);
  await makeDisk(path, diskBytes, pieces);
  const worker = startWorkerProcess(fleet, 'backup');
  try {
    for (const backup_type of ['full', 'incremental'] as const) {
      const answer = await acceptBackup(fleet.accept, {
        vm_name: `sparse-${diskBytes}`,
        repository_id: 'main',
        backup_type,
        disks: [{ disk_id: 0, source: { type: 'file', path, format: 'raw' } }],
      });
      const end = await fleet.ended(answer.disk_results[0]?.backup_id ?? '', DEADLINE_MS);
      if (end.status !== 'completed') throw new Error(`${end.status}: ${end.error_code} ${end.error_detail}`);
    }
    return await peakMemory(worker.child.pid ?? 0);
  } finally {
    await worker.stop();
    await rm(path);
  }
}

/** VmHWM of proc(5): the largest resident set so far; given in KiB. */
async function peakMemory(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024;
}
