export { ApiToken, IdempotencyKey, type Role } from './apiToken.js';
export { BackupChain } from './backupChain.js';
export {
  BackupExtents,
  BackupJob,
  type BackupRequest,
  type BackupType,
  HoldChange,
  type OnBrokenChain,
  type RequestedType,
  type Tracker,
  type VerifyBackup,
} from './backupJob.js';
export { ChainJob, type ClaimMode, type JobProgress, JobStep, ResourceClaim } from './chainJob.js';
export { FleetProcess, LeaderLease, UnservedPool } from './fleet.js';
export type { Health } from './health.js';
export {
  type DamageReach,
  type LayerDamage,
  LayerProof,
  type ProofPass,
  type StoredRange,
} from './layerProof.js';
export { MaintenanceJob } from './maintenanceJob.js';
export type {
  ConsolidateParams,
  MaintenanceParams,
  MaintenanceType,
  RebuildParams,
  ValidateParams,
  ValidationLevel,
} from '../shared/jobs.js';
export { OutboxEvent, type OutboxState } from './outboxEvent.js';
export { type KeepColumn, Policy, PolicyMember } from './policy.js';
export { PolicyRun, type PolicyRunStatus, type PolicyRunTrigger, PolicyRunVm } from './policyRun.js';
export { PushExport, type PushOffer, PushPort, type PushState } from './pushExport.js';
export { Repository, type RepositoryType } from './repository.js';
export { type RestoreFormat, RestoreJob, type RestoreTarget } from './restoreJob.js';
export {
  POINT_NOTES,
  type PointNote,
  type PointNoteCode,
  RestorePoint,
  type RestorePointStatus,
  SOURCE_CORRUPT,
  SOURCE_SHARED,
} from './restorePoint.js';
export { VmContext } from './vmContext.js';
export { VmDisk } from './vmDisk.js';
export { Webhook } from './webhook.js';
