import { addMaintenanceJob, UNASKED_PRIORITY } from './addJob.js';
import { type Delivery } from '../../shared/jobs.js';
import type { EntityManager } from 'typeorm';
import type { ValidateParams, VerifyBackup } from '../../entities/index.js';
import { systemClock } from '../../shared/clock.js';
import { findOpenValidation } from './openValidation.js';

const PARAMS: Record<VerifyBackup, ValidateParams> = {
  after: { level: 'quick' },
  after_deep: { level: 'deep', unread_only: true },
};

/**
 * Queues the validation that a backup has asked for, behind all that waits for the chain, in the transaction that commits the
 * backup: either both are there or neither. One that waits already, for an earlier backup, will see this one, too. The chain's
 * row must be locked.
 * @returns the delivery that is owed after the commit, where nothing is in front of it
 */
export async function addVerification(
  tx: EntityManager,
  chainId: string,
  verify: VerifyBackup,
): Promise<Delivery | undefined> {
  const params = PARAMS[verify];
  if (await findOpenValidation(tx, chainId, params)) return undefined;
  const job = { chainId, type: 'validate', params, priority: UNASKED_PRIORITY } as const;
  return (await addMaintenanceJob(tx, { ...job, now: systemClock.now() })).delivery;
}
