import { renderFields, renderTable } from '../../cli/render/table.js';
import type { DownResult } from '../down.js';
import type { FleetProcess } from '../pm2/status.js';
import type { ServiceState, SystemStatus } from '../status.js';
import type { UpResult } from '../up.js';
import type { QueueCounts } from './queueCounts.js';

/** What a person needs after `up`. */
export function renderUp(result: UpResult): string {
  return renderFields([
    ['API', result.addresses.api],
    ['API docs', result.addresses.docs],
    ['queues', result.addresses.queues],
    ['metrics', result.addresses.metrics],
    ['data', result.dataDir],
    ['token', `in ${result.tokenFile}`],
  ]);
}

export function renderDown({ stopped, dataDir }: DownResult): string {
  if (stopped.length === 0) return `Nothing was running in ${dataDir}.\n`;
  return `Stopped:\n${stopped.map((name) => `  ${name}\n`).join('')}`;
}

export function renderStatus(status: SystemStatus, size: (bytes: number) => string): string {
  const right = 'right' as const;
  const services = renderTable(
    [
      { title: 'SERVICE', value: (row: ServiceState) => row.name },
      { title: 'STATE', value: (row: ServiceState) => row.state },
      { title: 'PID', value: (row: ServiceState) => row.pid, align: right },
    ],
    status.services,
    'No services.',
  );
  const processes = renderTable(
    [
      { title: 'PROCESS', value: (row: FleetProcess) => row.name },
      { title: 'STATE', value: (row: FleetProcess) => row.status },
      { title: 'PID', value: (row: FleetProcess) => row.pid || null, align: right },
      { title: 'RESTARTS', value: (row: FleetProcess) => row.restarts, align: right },
      { title: 'MEMORY', value: (row: FleetProcess) => size(row.memoryBytes), align: right },
    ],
    status.processes,
    'No processes run.',
  );
  const facts = renderFields([
    ['API', `${status.addresses.api} (${status.api_ready ? 'ready' : 'not ready'})`],
    ['API docs', status.addresses.docs],
    ['queues', status.addresses.queues],
    ['metrics', status.addresses.metrics],
    ['pools', status.pools.join(', ')],
    ['data', status.data_dir],
  ]);
  return [services, processes, renderQueues(status.queues), facts].join('\n');
}

function renderQueues(queues: QueueCounts[] | null): string {
  if (queues === null) return 'Redis does not answer: the queues are not known.\n';
  const count = (title: string, value: (row: QueueCounts) => number) => ({
    title,
    value,
    align: 'right' as const,
  });
  return renderTable(
    [
      { title: 'QUEUE', value: (row: QueueCounts) => row.name },
      count('WAITING', (row) => row.waiting),
      count('ACTIVE', (row) => row.active),
      count('DELAYED', (row) => row.delayed),
      count('FAILED', (row) => row.failed),
    ],
    queues,
    'No queues.',
  );
}
