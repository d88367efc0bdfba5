import type { Job } from '../../client/index.js';
import { printable } from './printable.js';
import { renderFields, renderTable } from './table.js';

/** What is read of a validation's report; the API gives a job's result without a schema. */
export interface ValidationFacts {
  healthy: boolean | null;
  chainHealth: string | null;
  checkedFiles: number | null;
  affected: string[];
  findings: ValidationFinding[];
  damage: DamageFacts[];
  nextSteps: { code: string; do: string }[];
  read: { files: number; bytes: number } | null;
}

/** Ranges of a backup that a restore of it would have wrong. */
interface DamageFacts {
  backup: string;
  /** First byte of the guest disk, and how many. */
  offset: number;
  length: number;
  inBackup: string;
  what: 'wrong' | 'unreadable';
}

/** Ranges of one report that are printed; `--json` has all. */
const MOST_RANGES = 50;

interface ValidationFinding {
  severity: string;
  code: string;
  backup_id: string;
  message: string;
}

/** Takes from a report what is there; a field of another form counts as absent. */
export function readValidation(result: Job['result']): ValidationFacts {
  const { healthy, chain_health, checked_files, affected, findings, backups, next_steps, read } =
    result ?? {};
  return {
    healthy: typeof healthy === 'boolean' ? healthy : null,
    chainHealth: typeof chain_health === 'string' ? chain_health : null,
    checkedFiles: typeof checked_files === 'number' ? checked_files : null,
    affected: listOf(affected).filter((id) => typeof id === 'string'),
    findings: listOf(findings).map(toFinding),
    damage: listOf(backups).flatMap(toDamage),
    nextSteps: listOf(next_steps).map((entry) => {
      const fields = fieldsOf(entry);
      return { code: textOf(fields['code']), do: textOf(fields['do']) };
    }),
    read:
      read === undefined
        ? null
        : { files: numberOf(fieldsOf(read)['files']), bytes: numberOf(fieldsOf(read)['bytes']) },
  };
}

/** Draws a validation: the verdict, each finding, where the damage is, and what to do next. */
export function renderValidation(job: Job, size: (bytes: number) => string): string {
  const facts = readValidation(job.result);
  const head = renderFields([
    ['chain', job.chain_id],
    ['validation', job.status],
    ['health', facts.chainHealth],
    ['files checked', facts.checkedFiles],
    ...(facts.read === null
      ? []
      : [['read', `${facts.read.files} files, ${size(facts.read.bytes)}`] as [string, string]]),
    ['affected', facts.affected.length === 0 ? 'none' : facts.affected.join(', ')],
  ]);
  const columns = [
    { title: 'SEVERITY', value: (row: ValidationFinding) => row.severity },
    { title: 'FINDING', value: (row: ValidationFinding) => row.code },
    { title: 'BACKUP', value: (row: ValidationFinding) => row.backup_id },
    { title: 'WHAT', value: (row: ValidationFinding) => row.message },
  ];
  const findings = renderTable(columns, facts.findings, 'No findings.');
  return `${head}${findings}${renderDamage(facts.damage)}${renderSteps(facts.nextSteps)}`;
}

function renderDamage(damage: readonly DamageFacts[]): string {
  if (damage.length === 0) return '';
  const columns = [
    { title: 'RESTORE OF', value: (row: DamageFacts) => row.backup },
    { title: 'HAS', value: (row: DamageFacts) => row.what },
    { title: 'FROM BYTE', value: (row: DamageFacts) => row.offset, align: 'right' as const },
    { title: 'BYTES', value: (row: DamageFacts) => row.length, align: 'right' as const },
    { title: 'IN THE FILE OF', value: (row: DamageFacts) => row.inBackup },
  ];
  const more = damage.length - MOST_RANGES;
  const rest = more > 0 ? `... and ${more} more ranges (--json has all)\n` : '';
  return `\n${renderTable(columns, damage.slice(0, MOST_RANGES), '')}${rest}`;
}

function renderSteps(steps: readonly { code: string; do: string }[]): string {
  if (steps.length === 0) return '';
  return `\nWhat to do next:\n${steps.map((step) => `  ${printable(`${step.code}: ${step.do}`)}\n`).join('')}`;
}

function toFinding(entry: unknown): ValidationFinding {
  const fields = fieldsOf(entry);
  return {
    severity: textOf(fields['severity']),
    code: textOf(fields['code']),
    backup_id: textOf(fields['backup_id']),
    message: textOf(fields['message']),
  };
}

function toDamage(entry: unknown): DamageFacts[] {
  const fields = fieldsOf(entry);
  const backup = textOf(fields['backup_id']);
  const ranges = (list: unknown, what: DamageFacts['what']) =>
    listOf(list).map((each): DamageFacts => {
      const { offset, length, in_backup } = fieldsOf(each);
      return {
        backup,
        what,
        offset: numberOf(offset),
        length: numberOf(length),
        inBackup: textOf(in_backup),
      };
    });
  return [...ranges(fields['affected'], 'wrong'), ...ranges(fields['affected_unreadable'], 'unreadable')];
}

function fieldsOf(entry: unknown): Record<string, unknown> {
  return (typeof entry === 'object' && entry !== null ? entry : {}) as Record<string, unknown>;
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function numberOf(value: unknown): number {
  return typeof value === 'number' ? value : 0;
}

function listOf(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}
