export { readRules, simulateRetention } from './simulate.js';
export type { Verdict } from './types.js';
