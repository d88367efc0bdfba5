export { loadBackupRows } from './catalogue.js';
export { NEXT_STEPS } from './nextSteps.js';
export { type Finding, type FindingCode, FINDINGS } from './findings.js';
export type { BackupFacts, BackupRow, ChainFacts } from './facts.js';
export { judge, type ValidationReport } from './judge.js';
export { byId, type Lineage, lineageOf, tipsOf } from './lineage.js';
export { runValidation, type ValidationSummary } from './runValidation.js';
