export { type MergePlan, type PlanStep, type Refusal, REFUSALS } from './facts.js';
export { removedBy } from './plan.js';
export { planRemoval, refusalError, runConsolidation } from './run.js';
export { finishHalfSwitch } from './halfSwitch.js';
export { planSyntheticFull, runSyntheticFull } from './syntheticFull.js';
