import type { ReconcileReport as ReconcileView } from '../../../contract/index.js';
import { REASONS } from '../../../services/reconcile/index.js';
import type { ReconcileAnswer } from '../../accept/index.js';

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
