export { ApiToken, type Role } from './apiToken.js';
export { BackupChain } from './backupChain.js';
export { BackupExtents } from './backupExtents.js';
export {
  BackupJob,
  type BackupRequest,
  type BackupType,
  type OnBrokenChain,
  type RequestedType,
  type Tracker,
  type VerifyBackup,
} from './backupJob.js';
export { ChainJob, type JobProgress } from './chainJob.js';
export { FleetProcess } from './fleetProcess.js';
export type { Health } from './health.js';
export { HoldChange } from './holdChange.js';
export { IdempotencyKey } from './idempotencyKey.js';
export { JobStep } from './jobStep.js';
export {
  type DamageReach,
  type LayerDamage,
  LayerProof,
  type ProofPass,
  type StoredRange,
} from './layerProof.js';
export { LeaderLease } from './leaderLease.js';
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
export { type KeepColumn, Policy } from './policy.js';
export { PolicyMember } from './policyMember.js';
export { PolicyRun, type PolicyRunStatus, type PolicyRunTrigger, PolicyRunVm } from './policyRun.js';
export { PushExport, type PushOffer, type PushState } from './pushExport.js';
export { PushPort } from './pushPort.js';
export { Repository, type RepositoryType } from './repository.js';
export { type ClaimMode, ResourceClaim } from './resourceClaim.js';
export { RestoreJob, type RestoreFormat, type RestoreTarget } from './restoreJob.js';
export {
  POINT_NOTES,
  SOURCE_CORRUPT,
  SOURCE_SHARED,
  type PointNote,
  type PointNoteCode,
  RestorePoint,
  type RestorePointStatus,
} from './restorePoint.js';
export { UnservedPool } from './unservedPool.js';
export { VmContext } from './vmContext.js';
export { VmDisk } from './vmDisk.js';
export { Webhook } from './webhook.js';
