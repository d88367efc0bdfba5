import type { AuditResult } from '../../datapath/index.js';
import { readSteps, recordStep } from '../../db/job/journal.js';
import { StrataError } from '../../shared/errors.js';
import { BLOCK_SIZE } from '../../shared/extents.js';
import type { AuditSettings } from '../deps.js';
import type { Attempt } from './attempt.js';
import type { BackupPlan } from '../chain/index.js';

/** Step of the journal that says that the tracker was caught: further attempts of the job need not ask it. */
const LIE_STEP = 'tracker_lied';
/** A MiB is read in no time: on a small disk the sample is not made smaller than that. */
const LEAST_BLOCKS = 16;
/** Numbers of differing blocks that the journal keeps. */
const MOST_NAMED = 16;

/** How many blocks of a disk an audit reads; 0 for none. */
export function auditBlocks(virtualSize: number, { blocks, ppm }: AuditSettings): number {
  const share = Math.floor((Math.ceil(virtualSize / BLOCK_SIZE) * ppm) / 1e6);
  return Math.min(blocks, Math.max(LEAST_BLOCKS, share));
}

/** An audit, and the seed by which its blocks were drawn. */
export interface SeededAudit extends AuditResult {
  seed: string;
}

/**
 * Writes down what the audit has found, so that it can be done again: the seed and the first blocks.
 * @returns the error that gives up what was written by the tracker's word
 */
export async function trackerLied(
  { deps, held }: Attempt,
  { seed, sampled, differing }: SeededAudit,
): Promise<StrataError> {
  const found = { seed, sampled, differing: differing.length, blocks: differing.slice(0, MOST_NAMED) };
  await recordStep(deps.ds, held.lease, LIE_STEP, 'done', found);
  return new StrataError(
    'tracker_lied',
    `${differing.length} of ${sampled} blocks that the tracker calls unchanged have changed.`,
    { details: found },
  );
}

/** True when an earlier attempt of the job has caught the tracker. */
export async function hasLied({ deps, context }: Attempt, plan: BackupPlan): Promise<boolean> {
  if (plan.mode !== 'changes' || context.job.delivery === 1) return false;
  const steps = await readSteps(deps.ds, context.job.id);
  return steps.some(({ step }) => step === LIE_STEP);
}
