export { type CadencePlan } from './cadence/plan.js';
export { planRepositoryCadence, ROUND_MS } from './cadence/planRepository.js';
export { nameRanges } from '../../shared/ranges.js';
export { NEXT_STEPS } from './nextSteps.js';
export { type Finding, type FindingCode, FINDINGS } from './findings.js';
export type { BackupFacts, ChainFacts } from './facts.js';
export { judge, type ValidationReport } from './judge.js';
export { runValidation, type ValidationSummary } from './run.js';
