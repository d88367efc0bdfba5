import { type AuditResult, type OpenSource, storageIds } from '../../datapath/index.js';
import { readSteps, recordStep } from '../../db/job/journal.js';
import { errnoOf, StrataError } from '../../shared/errors.js';
import { BLOCK_SIZE } from '../../shared/extents.js';
import type { AuditSettings } from '../deps.js';
import type { Attempt } from './attempt.js';
import type { BackupPlan } from '../chain/index.js';
import { realpath } from 'node:fs/promises';
import { restoredPathsSince } from '../../db/job/restores.js';

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

/**
 * True when a restore has written to the disk since the instant of the parent, completed or not. It writes to a file or
 * device beside the guest, where no hypervisor's tracker sees it: a list of changes would leave that out, silently and for
 * every later increment. What an NBD server or an agent reads from cannot be known.
 */
export async function isRestoredOver(
  { deps, context }: Pick<Attempt, 'deps' | 'context'>,
  plan: BackupPlan,
  { imageRef }: OpenSource,
): Promise<boolean> {
  if (plan.mode !== 'changes' || imageRef.type !== 'file') return false;
  const parent = context.lineage.find(({ id }) => id === plan.parent.id);
  if (!parent) throw new RangeError(`${plan.parent.id} is not in the lineage of ${context.job.id}`);
  const paths = await restoredPathsSince(deps.ds, parent.createdAt);
  if (paths.length === 0) return false;
  const read = new Set(await namesOf(imageRef.path));
  for (const path of paths) if ((await namesOf(path)).some((name) => read.has(name))) return true;
  return false;
}

/** By its path, and by the storage that it leads to: a loop device and the file behind it are one disk. */
async function namesOf(path: string): Promise<string[]> {
  try {
    return [await realpath(path), ...(await storageIds(path))];
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return [path];
  }
}
