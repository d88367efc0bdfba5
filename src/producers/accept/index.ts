export { adoptRepository } from './adoptRepository.js';
export { acceptBackup } from './backup.js';
export { acceptExtents } from './extents.js';
export {
  acceptConsolidation,
  acceptRemoval,
  type ChainPlan,
  type RemovalAnswer,
} from './removal.js';
export { acceptProtection } from './protection.js';
export { acceptRepositoryChange } from './repositoryChange.js';
export { acceptReconcile, type ReconcileAnswer } from './reconcile.js';
export { acceptRestore, type RestoreAnswer, type RestoreBody } from './restore.js';
export type { JobAnswer } from './addMaintenance.js';
export { acceptSyntheticFull, dryRunSyntheticFull, type SyntheticFullAnswer } from './syntheticFull.js';
export { acceptValidation } from './validation.js';
export { acceptValidations, type ValidationsAnswer } from './validations.js';
export { type Backlog, createBacklog } from './backlog.js';
export type { BackupAnswer, BackupBody, BackupDiskBody } from './bodies.js';
export { cancel } from './cancel.js';
export type { AcceptDeps, Idempotency } from './deps.js';
export type { RemovalTarget } from './selectRemoval.js';
export {
  awaitExport,
  completePush,
  failPush,
  type OpenExport,
  type PushAnswerBody,
  type PushCall,
  type PushCompletionBody,
  reportPush,
} from './push.js';
export { registerRepository, type RepositoryBody } from './registerRepository.js';
export { registerVm, type VmBody, type VmDiskBody } from './registerVm.js';
