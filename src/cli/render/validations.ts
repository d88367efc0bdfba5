import type { Job, SkippedValidation, ValidationsAccepted } from '../../client/index.js';
import { printable } from './printable.js';
import { renderTable } from './table.js';
import { readValidation } from './validation.js';

/** Draws which jobs will validate what. */
export function renderAcceptedValidations({ level, jobs, skipped }: ValidationsAccepted): string {
  type Row = ValidationsAccepted['jobs'][number];
  const columns = [
    { title: 'VM', value: (row: Row) => row.vm_name },
    { title: 'DISK', value: (row: Row) => row.disk_id, align: 'right' as const },
    { title: 'JOB', value: (row: Row) => row.job_id },
    { title: 'STATUS', value: (row: Row) => row.status },
    { title: 'CHAIN', value: (row: Row) => row.chain_id },
  ];
  const open = jobs.filter(({ added }) => !added).length;
  const before = open === 0 ? '' : `, ${open} of them accepted before`;
  const head = `${jobs.length} ${level} ${jobs.length === 1 ? 'validation' : 'validations'}${before}.\n`;
  return `${head}${renderTable(columns, jobs, 'No chain has backups.')}${renderSkipped(skipped)}`;
}

/** Draws what validations found: one line a chain, the ill ones first, and what to do next. */
export function renderValidations(jobs: readonly Job[], skipped: readonly SkippedValidation[]): string {
  const rows = jobs
    .map((job) => ({ job, facts: readValidation(job.result) }))
    .sort((a, b) => Number(isWell(a)) - Number(isWell(b)));
  const count = (row: Row, severity: string) =>
    row.facts.findings.filter((finding) => finding.severity === severity).length;
  const columns = [
    { title: 'VM', value: (row: Row) => row.job.vm_name },
    { title: 'DISK', value: (row: Row) => row.job.disk_id, align: 'right' as const },
    { title: 'HEALTH', value: (row: Row) => row.facts.chainHealth ?? row.job.status },
    { title: 'ERRORS', value: (row: Row) => count(row, 'error'), align: 'right' as const },
    { title: 'WARNINGS', value: (row: Row) => count(row, 'warning'), align: 'right' as const },
    { title: 'AFFECTED', value: (row: Row) => row.facts.affected.length, align: 'right' as const },
    { title: 'JOB', value: (row: Row) => row.job.id },
  ];
  const well = rows.filter(isWell).length;
  const sum = `${well} of ${rows.length} chains are healthy.\n`;
  const table = renderTable(columns, rows, 'No chain has backups.');
  return `${table}${renderSkipped(skipped)}${sum}${renderSteps(rows)}`;
}

interface Row {
  job: Job;
  facts: ReturnType<typeof readValidation>;
}

function isWell({ facts }: Row): boolean {
  return facts.healthy === true;
}

function renderSkipped(skipped: readonly SkippedValidation[]): string {
  return skipped
    .map((each) => `${printable(each.vm_name)} disk ${each.disk_id}: skipped (${each.reason})\n`)
    .join('');
}

/** Each thing to do once, with the chains that want it; the job of a chain has the details. */
function renderSteps(rows: readonly Row[]): string {
  const wanted = new Map<string, Set<string>>();
  for (const { job, facts } of rows) {
    for (const step of facts.nextSteps) {
      const text = `${step.code}: ${step.do}`;
      wanted.set(text, (wanted.get(text) ?? new Set()).add(`${job.vm_name} disk ${job.disk_id}`));
    }
  }
  if (wanted.size === 0) return '';
  const lines = [...wanted].map(
    ([text, of]) => `  ${printable(text)}\n    ${printable([...of].join(', '))}\n`,
  );
  return `\nWhat to do next (strata job JOB says more):\n${lines.join('')}`;
}
