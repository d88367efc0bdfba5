import { chainsWithLeftovers, longChains } from '../../db/chain/longChains.js';
import { isStrataError } from '../../shared/errors.js';
import { acceptConsolidation } from '../accept/removal.js';
import { acceptSyntheticFull } from '../accept/syntheticFull.js';
import type { AcceptDeps } from '../accept/deps.js';

/**
 * A chore of the keeper, a round with every call: consolidations that were left half done get a job, and chains that are
 * too long a synthetic full. It never asks for a point to be removed: nobody did.
 * @param chainLimit layers, where the repository says nothing
 */
export function createConsolidator(deps: AcceptDeps, chainLimit: number): () => Promise<void> {
  let cursor = '';
  return async () => {
    await resumeLeftovers(deps);
    const { ids, next } = await longChains(deps.ds, chainLimit, cursor);
    for (const chainId of ids) await shorten(deps, chainId, chainLimit);
    cursor = next;
  };
}

async function resumeLeftovers(deps: AcceptDeps): Promise<void> {
  for (const chainId of await chainsWithLeftovers(deps.ds)) {
    await unlessGone(async () => {
      const { chains } = await acceptConsolidation(deps, { chainId, keep: undefined, dryRun: false });
      const job = chains[0]?.job;
      if (job)
        deps.log.info({ chainId, jobId: job.job_id }, 'a consolidation that was left half done goes on');
    });
  }
}

async function shorten(deps: AcceptDeps, chainId: string, chainLimit: number): Promise<void> {
  await unlessGone(async () => {
    const { job_id: jobId } = await acceptSyntheticFull(deps, chainId);
    deps.log.info({ chainId, jobId, chainLimit }, 'the chain is too long: its latest backup becomes a full');
  });
}

/** A chain that lost its backups, or itself, since it was found. */
async function unlessGone(work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!isStrataError(error, 'not_found', 'wrong_state')) throw error;
  }
}
