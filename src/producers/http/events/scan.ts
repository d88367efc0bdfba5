import type { DataSource } from '../../../db/database.js';
import {
  databaseNow,
  type FifoPiece,
  type JobState,
  readCreatedSince,
  readHeads,
  readPieces,
} from '../../../db/job/changes.js';

/**
 * A row shows its creation time only when its transaction has committed: a request with a long change list may take
 * seconds for that, so the look back is longer.
 */
const LOOK_BACK_MS = 10_000;

/** What one scan leaves for the next. */
export interface ScanMark {
  /** By chain: the job that was released or running. */
  heads: Map<string, Head>;
  since: Date;
}

/** FIFO position and newest delivery of the job that has its chain's turn. */
export interface Head {
  seq: number;
  delivery: number;
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
  const heads = new Map(headStates.map(({ chainId, seq, delivery }) => [chainId, { seq, delivery }]));
  const fresh = before ? await readCreatedSince(ds, before.since) : [];
  const passed = before ? await readPieces(ds, passedPieces(before.heads, heads)) : [];
  const mark = { heads, since: new Date(now.getTime() - LOOK_BACK_MS) };
  return { states: [...headStates, ...fresh, ...passed], mark };
}

/**
 * The pieces of the chains' FIFOs in which a job may have had its turn: what was at the head before and is not now, and, where
 * the same job was given its turn again, all behind it, because reads may have passed it. Pure.
 */
export function passedPieces(before: ReadonlyMap<string, Head>, now: ReadonlyMap<string, Head>): FifoPiece[] {
  return [...before].flatMap(([chainId, { seq: first, delivery }]) => {
    const head = now.get(chainId);
    if (!head) return [{ chainId, first, last: Number.MAX_SAFE_INTEGER }];
    if (head.seq === first && head.delivery === delivery) return [];
    // A head in front of the one before was passed by it, and has its turn again.
    return [{ chainId, first, last: head.seq > first ? head.seq - 1 : Number.MAX_SAFE_INTEGER }];
  });
}
