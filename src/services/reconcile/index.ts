export { type Action, REASONS, type ReasonCode } from './facts.js';
export { changesSomething, planReconcile } from './plan.js';
export { GRACE_MS, planRepository, type RepositoryPlan } from './planRepository.js';
export { runReconcile } from './run.js';
export { scanRepository, scanVms } from '../repository/scan.js';
