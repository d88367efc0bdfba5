import type { DataSource } from '../../db/database.js';
import { immutabilityOfVm } from '../../db/chain/retention.js';
import type { KeepColumn } from '../../entities/index.js';
import { decideForVm } from './forVm.js';
import { readDuration } from './duration.js';
import { loadPoints } from './loadPoints.js';
import type { KeepRules, Verdict } from './types.js';

/**
 * What a policy would keep of a VM now, and why. Changes nothing; carrying it out asks the same function.
 * @throws not_found
 */
export async function simulateRetention(
  ds: DataSource,
  vmContextId: string,
  policy: { keep: KeepColumn | null; timeZone: string },
): Promise<Verdict[]> {
  const { immutableDays, now } = await immutabilityOfVm(ds, vmContextId);
  return decideForVm({
    points: await loadPoints(ds, vmContextId),
    rules: readRules(policy.keep),
    timeZone: policy.timeZone,
    now,
    immutableDays,
  });
}

/** @throws invalid_request for a `within` that is no duration */
export function readRules(keep: KeepColumn | null): KeepRules {
  const { within, ...counts } = keep ?? {};
  return { ...counts, ...(within === undefined ? {} : { withinMs: readDuration(within, 'keep.within') }) };
}
