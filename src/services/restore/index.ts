export { checkRestorable, planRestore, type RestorableFacts, type RestorePlan } from './plan.js';
export type { RestoreResult } from './result.js';
export { runRestore } from './runRestore.js';
export { inspectTarget, type TargetFacts } from './target.js';
