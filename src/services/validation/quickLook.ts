import { fencedChange } from '../../db/job/fenced.js';
import type { HeldLease } from '../job/holdLease.js';
import type { ReportProgress, ServiceDeps } from '../deps.js';
import { loadCatalogue } from './catalogue.js';
import { collectFacts } from './collect.js';
import { addProofs } from './deep/addProofs.js';
import { judge } from './judge.js';
import { writeHealth } from './writeHealth.js';

/**
 * Looks at a chain as a quick validation does, in the middle of another job, and writes what it finds to the catalogue:
 * after files were put right, nothing else may say that they are.
 * @throws repository_unavailable, lease_lost, database_unavailable, the signal's reason
 */
export async function quickLook(
  { ds }: Pick<ServiceDeps, 'ds'>,
  { lease, signal }: HeldLease,
  repositoryId: string,
  report: ReportProgress,
): Promise<void> {
  const catalogue = await loadCatalogue(ds, lease.chainId, repositoryId);
  const facts = await collectFacts({ catalogue, fence: lease.fence, signal, report });
  const chain = await addProofs({ ds, signal, chain: facts, reads: undefined });
  await fencedChange(ds, lease, (tx) => writeHealth(tx, chain, judge(chain)));
}
