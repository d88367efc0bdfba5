import type {
  RebuildReport as RebuildView,
  ReconcileReport as ReconcileView,
} from '../../../contract/index.js';
import { PROBLEMS, type RebuildReport } from '../../../services/rebuild/index.js';
import { REASONS } from '../../../services/reconcile/index.js';
import type { ReconcileAnswer } from '../../accept/index.js';

/** Entries of a list in an answer; the counts tell of all. */
const MOST_LISTED = 1000;
const NONE = {
  quarantine: 0,
  bring_back: 0,
  write_manifest: 0,
  mark_damaged: 0,
  mark_suspect: 0,
  finish: 0,
  adopt: 0,
  leave: 0,
};

export function toReconcileReport({ actions, counts, ...answer }: ReconcileAnswer): ReconcileView {
  return {
    ...answer,
    counts: { ...NONE, ...counts },
    actions: actions.map((action) => ({ ...action, message: REASONS[action.reason] })),
  };
}

export function toRebuildReport(
  about: { repository_id: string; dry_run: boolean },
  { inserted, existing, chains, problems }: RebuildReport,
): RebuildView {
  return {
    ...about,
    inserted,
    existing,
    refused: problems.filter(({ severity }) => severity === 'refused').length,
    chains: chains.slice(0, MOST_LISTED),
    problems: problems
      .slice(0, MOST_LISTED)
      .map((problem) => ({ ...problem, message: PROBLEMS[problem.reason] })),
  };
}
