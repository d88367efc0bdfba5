export { loadBackupRows } from './catalogue.js';
export { type Damage, knownDamage } from './deep/knownDamage.js';
export { judgeAnew } from './judgeAnew.js';
export { NEXT_STEPS } from './nextSteps.js';
export { type Finding, type FindingCode, FINDINGS } from './findings.js';
export type { BackupFacts, BackupRow, ChainFacts } from './facts.js';
export { judge, type ValidationReport } from './judge.js';
export { byId, type Lineage, lineageOf, tipsOf } from './lineage.js';
export { runValidation, type ValidationSummary } from './runValidation.js';
