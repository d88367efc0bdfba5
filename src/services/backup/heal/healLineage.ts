import type { OpenSource } from '../../../datapath/index.js';
import { recordStep } from '../../../db/job/journal.js';
import { readProofs } from '../../../db/chain/layerProofs.js';
import { errnoOf, isStrataError } from '../../../shared/errors.js';
import { isSound, knownDamage, type LayerToHeal, planHealing } from '../../chain/index.js';
import { quickLook } from '../../validation/quickLook.js';
import type { Attempt } from '../attempt.js';
import { type BackupContext, loadContext } from '../context.js';
import { isCurrent, type NotHealed, repairLayer } from './repairLayer.js';

/** Step of the journal that tells what became of damaged layers. */
const HEAL_STEP = 'healed';

/** Not about the files that are healed: the attempt ends with these. */
const OF_THE_ATTEMPT = [
  'lease_lost',
  'database_unavailable',
  'repository_unavailable',
  'repository_marker_foreign',
  'tool_missing',
  'internal',
] as const;

/**
 * Heals what the next increment would stand on (decision 13): damaged blocks that the source still holds as they were
 * backed up are put back. All of them or none: where one is not current any more, or anything but ranges of data is wrong,
 * everything stays as it is and the backup becomes a full.
 * @returns what the catalogue says afterwards
 * @throws the errors of `OF_THE_ATTEMPT`, the signal's reason; a healing that fails otherwise is none
 */
export async function healLineage(attempt: Attempt, source: OpenSource): Promise<BackupContext> {
  const { deps, held, context } = attempt;
  if (context.job.requestedType === 'full' || context.lineageBroken) return context;
  if (context.lineage.every(isSound)) return context;
  const proofs = await readProofs(deps.ds, context.chain.id);
  const plan = planHealing(context.lineage, (id) => knownDamage(proofs.get(id)));
  if (!plan) return context;
  attempt.report({ phase: 'healing', bytes_done: 0, bytes_total: null });
  const { healed, failed } = await heal(attempt, source, plan);
  await source.release();
  await recordStep(deps.ds, held.lease, HEAL_STEP, 'done', { backup_ids: healed, failed });
  if (healed.length === 0 && plan.length > 0) return context;
  await quickLook(attempt, context);
  return loadContext(deps.ds, context);
}

interface Healed {
  healed: string[];
  /** Why it ended early, as a reason or as the code of an error; null where it did not. */
  failed: string | null;
}

async function heal(attempt: Attempt, source: OpenSource, plan: readonly LayerToHeal[]): Promise<Healed> {
  const repair = { ...attempt, source };
  const healed: string[] = [];
  try {
    for (const step of plan) if (!(await isCurrent(repair, step))) return { healed, failed: 'not_current' };
    for (const step of plan) {
      const failed: NotHealed | undefined = await repairLayer(repair, step);
      if (failed) return { healed, failed };
      healed.push(step.layer.id);
    }
    return { healed, failed: null };
  } catch (error) {
    if (attempt.io.signal.aborted || isStrataError(error, ...OF_THE_ATTEMPT)) throw error;
    if (isStrataError(error)) return { healed, failed: error.code };
    if (errnoOf(error) === undefined) throw error;
    return { healed, failed: errnoOf(error) ?? null };
  }
}
