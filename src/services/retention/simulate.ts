import type { DataSource } from '../../db/database.js';
import { asking } from '../../db/transaction.js';
import type { KeepColumn } from '../../entities/index.js';
import { StrataError } from '../../shared/errors.js';
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
  const rows = await asking(() =>
    ds.query<{ immutable_days: number; now: Date }[]>(
      `SELECT r.immutable_days, UTC_TIMESTAMP(3) AS now FROM vm_contexts v JOIN repositories r ON r.id = v.repository_id
       WHERE v.vm_context_id = ?`,
      [vmContextId],
    ),
  );
  const [row] = rows;
  if (!row) throw new StrataError('not_found', `There is no VM ${vmContextId}.`);
  return decideForVm({
    points: await loadPoints(ds, vmContextId),
    rules: readRules(policy.keep),
    timeZone: policy.timeZone,
    now: row.now,
    immutableDays: row.immutable_days,
  });
}

/** @throws invalid_request for a `within` that is no duration */
export function readRules(keep: KeepColumn | null): KeepRules {
  const { within, ...counts } = keep ?? {};
  return { ...counts, ...(within === undefined ? {} : { withinMs: readDuration(within, 'keep.within') }) };
}
