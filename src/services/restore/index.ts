export type { RestoredDamage } from './damage.js';
export {
  checkRestorable,
  planRestore,
  type RestorableFacts,
  type RestorePlan,
  type RestoreWish,
} from './plan.js';
export type { RestoreResult } from './result.js';
export { runRestore } from './run.js';
export { inspectTarget, type TargetFacts, type TargetRules } from './target.js';
