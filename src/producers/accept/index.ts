export { acceptBackup } from './acceptBackup.js';
export { acceptReconcile, type ReconcileAnswer } from './acceptReconcile.js';
export { acceptRestore, type RestoreAnswer, type RestoreBody } from './acceptRestore.js';
export { acceptValidation, type JobAnswer } from './acceptValidation.js';
export type { BackupAnswer, BackupBody, BackupDiskBody } from './bodies.js';
export { cancel } from './cancel.js';
export type { AcceptDeps, Idempotency } from './deps.js';
export { registerRepository, type RepositoryBody } from './registerRepository.js';
export { registerVm, type VmBody, type VmDiskBody } from './registerVm.js';
