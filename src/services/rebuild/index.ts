export { type Problem, PROBLEMS, type ProblemCode } from './facts.js';
export { type RebuiltChain, type RebuildReport, runRebuild } from './run.js';
