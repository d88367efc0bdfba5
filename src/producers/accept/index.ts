export { adoptRepository } from './adoptRepository.js';
export { acceptBackup } from './acceptBackup.js';
export { acceptExtents } from './acceptExtents.js';
export {
  acceptConsolidation,
  acceptRemoval,
  type ChainPlan,
  type RemovalAnswer,
} from './acceptRemoval.js';
export { acceptProtection } from './acceptProtection.js';
export { acceptRepositoryChange } from './acceptRepositoryChange.js';
export { acceptReconcile, type ReconcileAnswer } from './acceptReconcile.js';
export { acceptRestore, type RestoreAnswer, type RestoreBody } from './acceptRestore.js';
export type { JobAnswer } from './addMaintenance.js';
export { acceptSyntheticFull, dryRunSyntheticFull, type SyntheticFullAnswer } from './acceptSyntheticFull.js';
export { acceptValidation } from './acceptValidation.js';
export { acceptValidations, type ValidationsAnswer } from './acceptValidations.js';
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
