export { type Problem, PROBLEMS, type ProblemCode } from './facts.js';
export { rebuildCatalogue, type RebuildReport, type RebuiltChain } from './rebuildCatalogue.js';
export { type RebuildResult, runRebuild } from './run.js';
