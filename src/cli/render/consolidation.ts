import type { Consolidation, ConsolidationRefusal, ConsolidationStep } from '../../client/index.js';
import { renderTable } from './table.js';

/** Draws what is removed and merged, what stays and why. */
export function renderConsolidation(
  { dry_run, chains, retired_disks: retired = [] }: Consolidation,
  size: (bytes: number) => string,
): string {
  const steps = chains.flatMap((chain) => chain.steps);
  const refused = chains.flatMap((chain) => chain.refused);
  const table = renderTable(
    [
      { title: 'ACTION', value: (row: ConsolidationStep) => row.action },
      { title: 'BACKUP', value: (row) => row.backup_id },
      { title: 'TAKES IN', value: (row) => row.removes.join(', ') },
      { title: 'STANDS ON', value: (row) => (row.action === 'merge' ? (row.onto ?? 'nothing') : '') },
      { title: 'FREED UP TO', value: (row) => size(row.bytes), align: 'right' },
      { title: 'REASON', value: (row) => row.reason },
    ],
    steps,
    'There is nothing to do.',
  );
  const left =
    refused.length === 0
      ? ''
      : renderTable(
          [
            { title: 'STAYS', value: (row: ConsolidationRefusal) => row.backup_id },
            { title: 'REASON', value: (row) => row.reason },
            { title: 'WHY', value: (row) => row.message },
          ],
          refused,
          '',
        );
  const jobs = chains.flatMap(({ job }) => (job ? [job.job_id] : []));
  const accepted = jobs.length === 0 ? '' : `Accepted ${jobs.join(', ')}.\n`;
  const disks = retired.length === 1 ? `Disk ${retired[0]} is` : `Disks ${retired.join(', ')} are`;
  const notBackedUp =
    retired.length === 0
      ? ''
      : `${disks} retired${dry_run ? ' then' : ''}: nothing backs them up until the VM is registered again (strata vm add).\n`;
  return `${table}${left}${notBackedUp}${dry_run ? 'This was a dry run: nothing was changed.\n' : accepted}`;
}
