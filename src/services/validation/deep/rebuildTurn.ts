import { readSteps, recordStep } from '../../../db/job/journal.js';
import { StrataError } from '../../../shared/errors.js';
import { type IndexRebuild, rebuildIndex } from './rebuildIndex.js';
import type { Turn } from './turn.js';

/** Step of the journal: a file whose index was not built anew because somebody waited. */
const STOOD_ASIDE = 'rebuild_stood_aside';

/**
 * Rebuilds an index, unless another job waits for the chain. What has been read is lost then, as an index is proved only as a
 * whole; so a validation stands aside once for a file, and the second time goes through.
 * @returns `wanted` where it stands aside; else as `rebuildIndex`
 */
export async function rebuildInTurn(
  rebuild: Omit<IndexRebuild, 'reading'>,
  turn: Turn,
): Promise<boolean | 'wanted'> {
  const { deps, held, io, row } = rebuild;
  const steps = await readSteps(deps.ds, held.lease.jobId);
  const before = steps.some(({ step, data }) => step === STOOD_ASIDE && data?.['backup_id'] === row.id);
  if (before) return rebuildIndex({ ...rebuild, reading: io.signal });
  const aside = new AbortController();
  const watch = () => {
    if (!turn.isDue()) return;
    // A database that does not answer is met by the next statement that needs it.
    turn.end().then(
      (end) => {
        if (end === 'wanted')
          aside.abort(new StrataError('chain_wanted', 'Another job waits for the chain.'));
      },
      () => undefined,
    );
  };
  const onRead = (bytes: number) => {
    rebuild.onRead(bytes);
    watch();
  };
  const reading = AbortSignal.any([io.signal, aside.signal]);
  try {
    return await rebuildIndex({ ...rebuild, onRead, reading });
  } catch (error) {
    if (io.signal.aborted || !aside.signal.aborted) throw error;
    await recordStep(deps.ds, held.lease, STOOD_ASIDE, 'done', { backup_id: row.id });
    return 'wanted';
  }
}
