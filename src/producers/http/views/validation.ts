import type { RepositoryValidation } from '../../../contract/index.js';
import type { CadencePlan } from '../../../services/validation/index.js';

/** @param facts how many chains and backups are of each health, and the plan of each level; null where it is switched off */
export function toRepositoryValidation(facts: {
  repositoryId: string;
  chains: ReadonlyMap<string, number>;
  backups: ReadonlyMap<string, number>;
  quick: CadencePlan | null;
  deep: CadencePlan | null;
}): RepositoryValidation {
  const { repositoryId, chains, backups, quick, deep } = facts;
  const count = (of: ReadonlyMap<string, number>, health: string) => of.get(health) ?? 0;
  const ill = (of: ReadonlyMap<string, number>) => ({
    suspect: count(of, 'suspect'),
    damaged: count(of, 'damaged'),
  });
  return {
    repository_id: repositoryId,
    chains: { ok: count(chains, 'ok'), ...ill(chains) },
    backups: ill(backups),
    quick: toDue(quick),
    deep: toDue(deep),
  };
}

function toDue(plan: CadencePlan | null): RepositoryValidation['quick'] {
  return plan && { overdue_chains: plan.overdue, oldest_seconds: plan.oldestMs / 1000 };
}
