import { healthOf, isLocated } from '../chain/index.js';
import { quickLook } from '../validation/quickLook.js';
import type { Begun } from './attempt.js';
import { type BackupContext, loadContext } from './context.js';

/**
 * Looks again at files that were suspected as a whole: what a mount that did not answer or a writer has made suspect may have
 * passed, and a full is dear. What is still suspect is no parent; nor is what a disk does not give in ranges, which is not
 * found by looking.
 * @returns what the catalogue says afterwards
 * @throws repository_unavailable, lease_lost, database_unavailable, the signal's reason
 */
export async function lookAgain(begun: Begun): Promise<BackupContext> {
  const { deps, context } = begun;
  const { job, lineage, lineageBroken } = context;
  const isOpen = lineage.some((layer) => healthOf(layer) === 'suspect' && !isLocated(layer));
  if (!isOpen || job.requestedType === 'full' || lineageBroken) return context;
  await quickLook(begun, context);
  return loadContext(deps.ds, context);
}
