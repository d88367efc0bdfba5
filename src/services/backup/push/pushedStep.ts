import { join } from 'node:path';
import { readSteps, recordStep } from '../../../db/job/journal.js';
import type { BackupType } from '../../../entities/index.js';
import { errnoOf } from '../../../shared/errors.js';
import { fileExists } from '../../../shared/files.js';
import { renameOver } from '../../repository/durable.js';
import { type BackupFiles, partialFiles } from '../../repository/layout.js';
import type { Begun } from '../attempt.js';
import type { BackupContext } from '../context.js';
import { type BackupPlan, type DemotedReason, healthOf } from '../../chain/index.js';
import { layersOf } from '../transfer.js';

/** Step of the journal: an agent is done, and its image is on stable storage under a temporary name. */
export const PUSHED_STEP = 'pushed';

/** What a later attempt needs to go on from there. */
export interface PushedStep {
  /** Final names; the temporary one of the image is made from them and the step's fence. */
  files: BackupFiles;
  backupType: BackupType;
  demotedReason: string | null;
  parentBackupId: string | null;
  virtualSize: number;
  changeId: string | null;
  bytesTransferred: number;
}

export interface Adopted {
  pushed: PushedStep;
  plan: BackupPlan;
}

/**
 * Takes over the image that an agent has completed in an earlier attempt, so that it need not write again: gives it the
 * temporary name of our fence. Its old name is then as gone as if it had been removed: no late link can succeed.
 * Called before the temporary files of dead attempts are removed.
 * @returns undefined when there is none, or what it stands on is not usable any more
 */
export async function adoptPushed(begun: Begun): Promise<Adopted | undefined> {
  const { deps, held, context } = begun;
  const { root } = context;
  const steps = (await readSteps(deps.ds, context.job.id)).filter(({ step }) => step === PUSHED_STEP);
  for (const { fence, data } of steps.reverse()) {
    const pushed = data as unknown as PushedStep;
    const plan = planOf(context, pushed);
    const image = join(root, partialFiles(pushed.files, fence).image);
    if (!plan || !(await fileExists(image))) continue;
    // Noted first: whoever comes after a crash looks for both names.
    await recordStep(deps.ds, held.lease, PUSHED_STEP, 'done', data);
    try {
      await renameOver(image, join(root, partialFiles(pushed.files, held.lease.fence).image));
      return { pushed, plan };
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw error;
      // A frozen attempt that woke in this moment has moved it to a name of its own, which is found by another look.
      return adoptPushed(begun);
    }
  }
  return undefined;
}

/** The plan by which it was written, if its parent may still be built upon. */
function planOf(context: BackupContext, pushed: PushedStep): BackupPlan | undefined {
  const demotedReason = pushed.demotedReason as DemotedReason | null;
  const { backupType: type, parentBackupId } = pushed;
  if (type === 'full') return { type, mode: 'full', parent: null, demotedReason };
  const below = context.lineage.some(({ id }) => id === parentBackupId)
    ? layersOf(context, parentBackupId ?? '')
    : [];
  const [parent] = below;
  if (!parent || parent.expired || below.some((layer) => healthOf(layer) === 'damaged')) return undefined;
  return { type, mode: 'changes', parent, demotedReason: null };
}
