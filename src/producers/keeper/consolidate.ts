import { chainsWithLeftovers, longChains } from '../../db/stores/longChains.js';
import { isStrataError } from '../../shared/errors.js';
import { acceptConsolidation, acceptSyntheticFull } from '../accept/acceptRemoval.js';
import type { AcceptDeps } from '../accept/deps.js';

/**
 * A chore of the keeper: consolidations that were left half done get a job, and chains that are too long a synthetic
 * full. It never asks for a point to be removed: nobody did.
 * @param chainLimit layers, where the repository says nothing
 */
export async function consolidateChains(deps: AcceptDeps, chainLimit: number): Promise<void> {
  for (const chainId of await chainsWithLeftovers(deps.ds)) {
    await unlessGone(async () => {
      const { chains } = await acceptConsolidation(deps, { chainId, keep: undefined, dryRun: false });
      const job = chains[0]?.job;
      if (job)
        deps.log.info({ chainId, jobId: job.job_id }, 'a consolidation that was left half done goes on');
    });
  }
  for (const chainId of await longChains(deps.ds, chainLimit)) {
    await unlessGone(async () => {
      const { job_id: jobId } = await acceptSyntheticFull(deps, chainId);
      deps.log.info(
        { chainId, jobId, chainLimit },
        'the chain is too long: its latest backup becomes a full',
      );
    });
  }
}

/** A chain that lost its backups, or itself, since it was found. */
async function unlessGone(work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!isStrataError(error, 'not_found', 'wrong_state')) throw error;
  }
}
