// One file for each use case; all are imported through the index.
import type { JobAccepted } from '../../contract/index.js';
import { findOpenRebuild, openLine } from '../../db/job/line.js';
import type { Delivery } from '../../shared/jobs.js';
import { addMaintenance } from './addMaintenance.js';
import type { AcceptDeps, Idempotency } from './deps.js';
import { acceptOnce } from './once.js';

/**
 * Accepts a rebuild of a repository's catalogue; it takes its turn in the repository's line. Where such a rebuild is open already, that
 * one is the answer.
 * @throws not_found when there is no such repository
 */
export async function acceptRebuild(
  deps: AcceptDeps,
  { repositoryId, dryRun }: { repositoryId: string; dryRun: boolean },
  idempotency?: Idempotency,
): Promise<JobAccepted> {
  return acceptOnce(deps, idempotency, async (tx) => {
    const chainId = await openLine(tx, repositoryId);
    const params = { dry_run: dryRun };
    const deliveries: Delivery[] = [];
    const open = await findOpenRebuild(tx, chainId, params);
    const answer = open
      ? { job_id: open.id, status: open.status }
      : await addMaintenance(tx, deps, { chainId, type: 'rebuild', params }, deliveries);
    return { answer, deliveries };
  });
}
