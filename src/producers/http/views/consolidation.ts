import type { Consolidation, ConsolidationStep } from '../../../contract/index.js';
import { type PlanStep, REFUSALS } from '../../../services/consolidation/index.js';
import type { RemovalAnswer } from '../../accept/index.js';

export function toConsolidation({
  dry_run,
  chains,
  latest_backup_id = null,
  retired_disks,
}: RemovalAnswer): Consolidation {
  return {
    dry_run,
    latest_backup_id,
    ...(retired_disks ? { retired_disks } : {}),
    chains: chains.map(({ chain_id, steps, refused, job }) => ({
      chain_id,
      steps: steps.map(toStep),
      refused: refused.map((refusal) => ({ ...refusal, message: REFUSALS[refusal.reason] })),
      job,
    })),
  };
}

function toStep(step: PlanStep): ConsolidationStep {
  return step.action === 'merge' ? step : { ...step, removes: [], onto: null };
}
