import { readSteps, recordStep } from '../../../db/job/journal.js';
import { StrataError } from '../../../shared/errors.js';
import { type IndexRebuild, rebuildIndex } from './rebuildIndex.js';
import type { Turn } from './turn.js';

/** Step of the journal: a file whose index was not built anew because somebody waited. */
const YIELDED = 'rebuild_stood_aside';

/**
 * Rebuilds an index, unless another job waits for the chain. What has been read is lost then, as an index is proved only as a
 * whole; so a validation yields once for a file, and the second time goes through.
 * @returns `wanted` where it yields; else as `rebuildIndex`
 */
export async function rebuildInTurn(
  rebuild: Omit<IndexRebuild, 'reading'>,
  turn: Turn,
): Promise<boolean | 'wanted'> {
  const { deps, held, io, row } = rebuild;
  const steps = await readSteps(deps.ds, held.lease.jobId);
  const before = steps.some(({ step, data }) => step === YIELDED && data?.['backup_id'] === row.id);
  if (before) return rebuildIndex({ ...rebuild, reading: io.signal });
  const yielding = new AbortController();
  const watch = () => {
    if (!turn.isDue()) return;
    // A database that does not answer is met by the next statement that needs it.
    turn.end().then(
      (end) => {
        if (end === 'wanted')
          yielding.abort(new StrataError('chain_wanted', 'Another job waits for the chain.'));
      },
      () => undefined,
    );
  };
  const onRead = (bytes: number) => {
    rebuild.onRead(bytes);
    watch();
  };
  const reading = AbortSignal.any([io.signal, yielding.signal]);
  try {
    return await rebuildIndex({ ...rebuild, onRead, reading });
  } catch (error) {
    if (io.signal.aborted || !yielding.signal.aborted) throw error;
    await recordStep(deps.ds, held.lease, YIELDED, 'done', { backup_id: row.id });
    return 'wanted';
  }
}
