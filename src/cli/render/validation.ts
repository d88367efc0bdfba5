import type { Job } from '../../client/index.js';
import { renderFields, renderTable } from './table.js';

/** What is read of a validation's report; the API gives a job's result without a schema. */
export interface ValidationFacts {
  healthy: boolean | null;
  chainHealth: string | null;
  checkedFiles: number | null;
  affected: string[];
  findings: ValidationFinding[];
}

interface ValidationFinding {
  severity: string;
  code: string;
  backup_id: string;
  message: string;
}

/** Takes from a report what is there; a field of another form counts as absent. */
export function readValidation(result: Job['result']): ValidationFacts {
  const { healthy, chain_health, checked_files, affected, findings } = result ?? {};
  return {
    healthy: typeof healthy === 'boolean' ? healthy : null,
    chainHealth: typeof chain_health === 'string' ? chain_health : null,
    checkedFiles: typeof checked_files === 'number' ? checked_files : null,
    affected: listOf(affected).filter((id) => typeof id === 'string'),
    findings: listOf(findings).map(toFinding),
  };
}

/** Draws a validation: the verdict, and each finding. */
export function renderValidation(job: Job): string {
  const facts = readValidation(job.result);
  const head = renderFields([
    ['chain', job.chain_id],
    ['validation', job.status],
    ['health', facts.chainHealth],
    ['files checked', facts.checkedFiles],
    ['affected', facts.affected.length === 0 ? 'none' : facts.affected.join(', ')],
  ]);
  const columns = [
    { title: 'SEVERITY', value: (row: ValidationFinding) => row.severity },
    { title: 'FINDING', value: (row: ValidationFinding) => row.code },
    { title: 'BACKUP', value: (row: ValidationFinding) => row.backup_id },
    { title: 'WHAT', value: (row: ValidationFinding) => row.message },
  ];
  return `${head}${renderTable(columns, facts.findings, 'No findings.')}`;
}

function toFinding(entry: unknown): ValidationFinding {
  const fields = (typeof entry === 'object' && entry !== null ? entry : {}) as Record<string, unknown>;
  const text = (value: unknown) => (typeof value === 'string' ? value : '');
  return {
    severity: text(fields['severity']),
    code: text(fields['code']),
    backup_id: text(fields['backup_id']),
    message: text(fields['message']),
  };
}

function listOf(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}
