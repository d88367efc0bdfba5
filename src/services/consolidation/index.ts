export { type MergePlan, type PlanStep, type Refusal, REFUSALS } from './facts.js';
export { removedBy } from './plan.js';
export { planRemoval, refusalError, runConsolidation } from './run.js';
export { settleSwitch } from './settle.js';
export { planSyntheticFull, runSyntheticFull } from './syntheticFull.js';
