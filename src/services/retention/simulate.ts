import type { DataSource } from '../../db/database.js';
import { immutabilityOfVm } from '../../db/chain/retention.js';
import type { KeepColumn } from '../../entities/index.js';
import { decideForVm } from './forVm.js';
import { loadPoints } from './loadPoints.js';
import type { KeepRules, Verdict } from './types.js';
import { StrataError } from '../../shared/errors.js';

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

const HOUR_MS = 3_600_000;
const UNITS: Record<string, number> = {
  h: HOUR_MS,
  d: 24 * HOUR_MS,
  w: 7 * 24 * HOUR_MS,
  m: 30 * 24 * HOUR_MS,
  y: 365 * 24 * HOUR_MS,
};
/** A hundred years; beyond that a Date may not reach. */
const LONGEST_MS = 100 * 365 * 24 * HOUR_MS;

/**
 * Milliseconds of `36h`, `30d`, `8w`, `6m` (of 30 days) or `2y` (of 365).
 * @throws invalid_request
 */
function readDuration(text: string, field: string): number {
  const [, count = '', unit = ''] = /^([1-9]\d{0,5})([hdwmy])$/.exec(text) ?? [];
  const ms = Number(count) * (UNITS[unit] ?? 0);
  if (ms > 0 && ms <= LONGEST_MS) return ms;
  throw new StrataError(
    'invalid_request',
    `${field} is such as 36h, 30d, 8w, 6m or 2y, up to a hundred years.`,
    {
      field,
    },
  );
}
