import { fencedChange } from '../../db/job/fenced.js';
import type { Place } from '../job/openPlace.js';
import type { Under } from '../job/under.js';
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
export async function quickLook(under: Under, place: Place): Promise<void> {
  const { deps, held, io, report } = under;
  const { signal } = io;
  const catalogue = await loadCatalogue(deps.ds, place);
  const facts = await collectFacts({ catalogue, fence: held.lease.fence, signal, report });
  const chain = await addProofs({ ds: deps.ds, signal, chain: facts, reads: undefined });
  await fencedChange(deps.ds, held.lease, (tx) => writeHealth(tx, chain, judge(chain)));
}
