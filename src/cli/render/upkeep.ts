import type { RebuildProblem, RebuildReport, ReconcileAction, ReconcileReport } from '../../client/index.js';
import { renderFields, renderTable } from './table.js';

/** Draws what differs between catalogue and files, and who puts it right. */
export function renderReconcile(report: ReconcileReport, size: (bytes: number) => string = String): string {
  const { scanned, counts, actions, jobs } = report;
  const columns = [
    { title: 'ACTION', value: (row: ReconcileAction) => row.action },
    { title: 'REASON', value: (row: ReconcileAction) => row.reason },
    { title: 'FILE', value: (row: ReconcileAction) => row.file },
    { title: 'WHY', value: (row: ReconcileAction) => row.message },
  ];
  const total = Object.values(counts).reduce((sum, count) => sum + count, 0);
  const rest = total > actions.length ? `... and ${total - actions.length} more.\n` : '';
  const table = renderTable(columns, actions, 'Catalogue and files agree.');
  const head = renderFields([
    ['directories', scanned.directories],
    ['files', scanned.files],
    [
      'to be done',
      sum(
        counts.quarantine,
        counts.bring_back,
        counts.write_manifest,
        counts.mark_damaged,
        counts.mark_suspect,
      ),
    ],
    ['only told', sum(counts.finish, counts.adopt, counts.leave)],
    ...restorableField(report, size),
  ]);
  return `${head}${table}${rest}${report.dry_run ? DRY_RUN : renderJobs(jobs)}`;
}

/** Draws what a rebuild has taken in and what it refused. */
export function renderRebuild(report: RebuildReport): string {
  const chains = renderTable(
    [
      { title: 'VM', value: (row: RebuildReport['chains'][number]) => row.vm_name },
      { title: 'DISK', value: (row) => row.disk_id, align: 'right' },
      { title: 'TAKEN IN', value: (row) => row.inserted, align: 'right' },
      { title: 'KNOWN', value: (row) => row.existing, align: 'right' },
      { title: 'REFUSED', value: (row) => row.refused, align: 'right' },
      { title: 'CHAIN', value: (row) => row.chain_id },
    ],
    report.chains,
    'No backups were found.',
  );
  const problems = renderTable(
    [
      { title: 'SEVERITY', value: (row: RebuildProblem) => row.severity },
      { title: 'REASON', value: (row) => row.reason },
      { title: 'FILE', value: (row) => row.file },
      { title: 'WHY', value: (row) => row.message },
    ],
    report.problems,
    'No problems.',
  );
  return `${chains}${problems}${report.dry_run ? DRY_RUN : ''}`;
}

function sum(...counts: number[]): number {
  return counts.reduce((total, count) => total + count, 0);
}

/** Only where there are any: they cost room until somebody decides. */
function restorableField(
  { restorable: { files, bytes } }: ReconcileReport,
  size: (bytes: number) => string,
): [string, string][] {
  if (files === 0) return [];
  return [['restorable with qemu-img, not in the catalogue', `${size(bytes)} in ${files} files`]];
}

const DRY_RUN = 'This was a dry run: nothing was changed.\n';

function renderJobs(jobs: ReconcileReport['jobs']): string {
  if (jobs.length === 0) return '';
  return `Accepted ${jobs.length} ${jobs.length === 1 ? 'job' : 'jobs'}, one a chain: ${jobs.map(({ job_id }) => job_id).join(', ')}.\n`;
}
