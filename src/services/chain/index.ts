export { changeIdBelow, foreseeBackup, type ForeseenBackup, type LatestChangeId } from './foresee.js';
export { commitSwitch, expireBackups, type Head, headOf, noteFilesRemoved } from './head.js';
export {
  countingFor,
  type HealthFacts,
  healthOf,
  healthOfPoint,
  isDamagedAsWhole,
  isLocated,
  isSound,
  restsOnSound,
  worst,
} from './health.js';
export {
  type Damage,
  fromStored,
  knownDamage,
  MOST_RANGES,
  NO_DAMAGE,
  NO_REACH,
  type Reach,
  type ReachedRange,
  reachOf,
  storedDamage,
  storedReach,
  toStored,
} from './knownDamage.js';
export { type Layer, loadLayers } from './layer.js';
export {
  assertNoCircle,
  byId,
  carrying,
  type Lineage,
  lineageOf,
  type Link,
  tipsOf,
  wholeLineageOf,
} from './lineage.js';
export { type DiskFacts, type Footing, footingOf, planNext } from './next.js';
export {
  type BackupPlan,
  comparedInstead,
  DEMOTED_REASONS,
  type DemotedReason,
  type ParentFacts,
  planBackup,
  trackerOf,
  withoutBitmap,
} from './plan.js';
export { type LayerToHeal, planHealing } from './planHealing.js';
