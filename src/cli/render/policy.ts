import type { RetentionVerdict, Simulation } from '../../client/index.js';
import { renderTable } from './table.js';
import { formatTime } from './time.js';

/** What a policy would keep and remove, VM by VM, newest point first. */
export function renderSimulation({ keep, remove, vms }: Simulation): string {
  const columns = [
    { title: '', value: (row: RetentionVerdict) => (row.keep ? 'keep' : 'remove') },
    { title: 'POINT', value: (row: RetentionVerdict) => formatTime(row.created_at) },
    { title: 'STATE', value: (row: RetentionVerdict) => row.state },
    { title: 'WHY', value: (row: RetentionVerdict) => row.reasons.join(', ') },
    { title: 'ID', value: (row: RetentionVerdict) => row.restore_point_id },
  ];
  const parts = vms.map(
    (vm) => `${vm.vm_context_id}\n${renderTable(columns, vm.points, 'No restore points.')}\n`,
  );
  return `${parts.join('')}${keep} stay, ${remove} would go.\n`;
}
