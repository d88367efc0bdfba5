import { join } from 'node:path';
import { recordStep, readSteps } from '../../db/job/journal.js';
import { fileExists } from '../../shared/files.js';
import { StrataError } from '../../shared/errors.js';
import type { HeldLease } from '../job/holdLease.js';
import type { ServiceDeps } from '../deps.js';
import { assertReserve } from '../repository/capacity.js';
import { recordCapacity } from '../job/recordCapacity.js';
import { allocatedBytes } from '../repository/durable.js';
import type { BackupContext } from './context.js';

/** Step of the journal that says how far an attempt came before there was no more room. */
const OUT_OF_ROOM_STEP = 'out_of_room';

/**
 * Bytes that an attempt may have had under way when there was no more room: qemu-img writes 16 pieces of 2 MiB at a time.
 * Of a small backup at most a quarter is asked for on top.
 */
const UNDER_WAY = 32 * 1024 ** 2;

/**
 * Lets nothing be written that is known not to fit: an attempt that ran out of room takes more than what it had written.
 * Each further one would fill the repository to the last byte, and stop the other jobs there. What a full takes is not
 * known before: allocated ranges of the source may hold zeros, which cost nothing.
 * @throws no_space
 */
export async function assertRoom(deps: ServiceDeps, context: BackupContext): Promise<void> {
  const { repository, job } = context;
  const capacity = await recordCapacity(deps.ds, repository, deps.clock.now());
  assertReserve(repository, capacity);
  if (job.errorCode !== 'no_space') return;
  const steps = await readSteps(deps.ds, job.id);
  const written = Math.max(
    0,
    ...steps.map(({ step, data }) => (step === OUT_OF_ROOM_STEP ? writtenOf(data) : 0)),
  );
  const needed_bytes = written + Math.min(UNDER_WAY, Math.ceil(written / 4));
  const available_bytes = capacity.availableBytes;
  if (available_bytes >= needed_bytes) return;
  throw new StrataError(
    'no_space',
    `Repository ${repository.name} has ${available_bytes} bytes left; the backup takes at least ${needed_bytes}.`,
    { details: { repository: repository.name, needed_bytes, available_bytes } },
  );
}

function writtenOf(data: Record<string, unknown> | null): number {
  return Number(data?.['written_bytes'] ?? 0);
}

/** What an attempt had written when it ran out of room, in bytes; asked while its temporary files are still there. */
export async function writtenBytes(root: string, paths: readonly string[]): Promise<number> {
  let bytes = 0;
  for (const path of paths) {
    if (await fileExists(join(root, path))) bytes += await allocatedBytes(join(root, path));
  }
  return bytes;
}

/** Notes in the journal how far an attempt came. */
export async function noteOutOfRoom(
  ds: ServiceDeps['ds'],
  { lease }: HeldLease,
  written_bytes: number,
): Promise<void> {
  await recordStep(ds, lease, OUT_OF_ROOM_STEP, 'done', { written_bytes });
}
