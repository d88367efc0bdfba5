import type { DataSource } from '../../../db/database.js';
import {
  databaseNow,
  type FifoPiece,
  type JobState,
  readCreatedSince,
  readHeads,
  readPieces,
} from '../../../db/stores/jobChanges.js';

/**
 * A row shows its creation time only when its transaction has committed: a request with a long change list may take
 * seconds for that, so the look back is longer.
 */
const LOOK_BACK_MS = 10_000;

/** What one scan leaves for the next. */
export interface ScanMark {
  /** By chain: FIFO position of the job that was released or running. */
  heads: Map<string, number>;
  since: Date;
}

/**
 * Reads every job that can have changed since the scan before: the heads of all chains, what was accepted lately, and
 * what has left the head of a chain, however short it ran. A job that is cancelled far behind its chain's head is seen
 * when the head has passed it.
 */
export async function scan(
  ds: DataSource,
  before: ScanMark | undefined,
): Promise<{ states: JobState[]; mark: ScanMark }> {
  const now = await databaseNow(ds);
  const headStates = await readHeads(ds);
  const heads = new Map(headStates.map((state) => [state.chainId, state.seq]));
  const fresh = before ? await readCreatedSince(ds, before.since) : [];
  const passed = before ? await readPieces(ds, passedPieces(before.heads, heads)) : [];
  const mark = { heads, since: new Date(now.getTime() - LOOK_BACK_MS) };
  return { states: [...headStates, ...fresh, ...passed], mark };
}

/** The pieces of the chains' FIFOs that were at the head before and are not now. Pure. */
export function passedPieces(
  before: ReadonlyMap<string, number>,
  now: ReadonlyMap<string, number>,
): FifoPiece[] {
  return [...before].flatMap(([chainId, first]) => {
    const head = now.get(chainId);
    if (head === first) return [];
    return [{ chainId, first, last: head === undefined ? Number.MAX_SAFE_INTEGER : head - 1 }];
  });
}
