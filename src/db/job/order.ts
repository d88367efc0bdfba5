/**
 * What a job does to its chain, as far as the order of the chain's jobs goes: it `reads` (a restore, a validation), it `adds` (a
 * backup puts a layer on top), or it `changes` what is there (a merge, a synthetic full, a reconciliation).
 */
export type Effect = 'reads' | 'adds' | 'changes';

/** An open job, as far as its turn depends on it. */
export interface Turn {
  effect: Effect;
  /** The job cannot run now, through nobody's fault: it waits for room, a mount, a port, its agent or its change list. */
  waits: boolean;
  /** Milliseconds until the job is tried again; null for a job that is not tried again by time (it waits for its change list). */
  dueInMs: number | null;
}

/**
 * Decides which open job of a chain has the next turn (docs/decisions/0021-reads-pass-a-head-that-waits.md). Jobs go in the order in which
 * they were accepted, with two exceptions, neither of which changes what the passed job finds: a job that only reads goes before
 * jobs that cannot run now, and a backup goes before reads that cannot run now. Pure.
 * @param open jobs that have not ended, none of them running, in the order of their positions
 * @returns the first job that can run; where none can, the job that is tried again first; undefined where no time brings a turn
 */
export function nextTurn<T extends Turn>(open: readonly T[]): T | undefined {
  const passed: Effect[] = [];
  let soonest: T | undefined;
  for (const job of open) {
    if (mayPass(job.effect, passed)) {
      if (!job.waits) return job;
      if (job.dueInMs !== null && job.dueInMs < (soonest?.dueInMs ?? Number.POSITIVE_INFINITY)) soonest = job;
    }
    passed.push(job.effect);
  }
  return soonest;
}

function mayPass(effect: Effect, passed: readonly Effect[]): boolean {
  if (effect === 'reads') return true;
  return effect === 'adds' ? passed.every((each) => each === 'reads') : passed.length === 0;
}
