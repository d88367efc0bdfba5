import type { Command } from 'commander';
import {
  allItems,
  type Backup,
  type Restore,
  type StrataClient,
  type WaitingFor,
} from '../../client/index.js';
import { action, type CommandContext, type Output } from '../command.js';
import type { CliIo } from '../io.js';
import { parseCount } from '../numbers.js';
import { printable } from '../render/printable.js';
import { shareDone } from '../render/progressLine.js';
import { renderTable } from '../render/table.js';
import { formatTime } from '../render/time.js';
import { waitingWord } from '../render/waiting.js';

type Entry = Pick<Backup, 'id' | 'status' | 'progress' | 'error' | 'created_at' | 'attempts'> & {
  waiting_for: WaitingFor | null;
  kind: 'backup' | 'restore';
  what: string;
};

const OPEN = ['running', 'released', 'queued'] as const;

/** `strata jobs` */
export function addJobsCommand(program: Command, io: CliIo): void {
  program
    .command('jobs')
    .description('list the backups and restores that are running or waiting')
    .option('--all', 'those that have ended, too')
    .option('--limit <n>', 'at most so many of each kind', parseCount, 50)
    .action(action(io, listJobs));
}

async function listJobs(context: CommandContext, options: { all?: true; limit: number }): Promise<Output> {
  const client = await context.client();
  const statuses = options.all ? [undefined] : OPEN;
  const found = await Promise.all(
    statuses.flatMap((status) => {
      const query = status === undefined ? {} : { status };
      return [
        backups(client, query, options.limit, context),
        restores(client, query, options.limit, context),
      ];
    }),
  );
  const items = found.flat().sort((a, b) => (a.created_at < b.created_at ? 1 : -1));
  const columns = [
    { title: 'JOB', value: (row: Entry) => row.id },
    { title: 'KIND', value: (row: Entry) => row.kind },
    { title: 'WHAT', value: (row: Entry) => row.what },
    { title: 'STATUS', value: (row: Entry) => row.status },
    { title: 'PHASE', value: (row: Entry) => (row.status === 'running' ? row.progress?.phase : null) },
    { title: 'DONE', value: percent, align: 'right' as const },
    { title: 'ACCEPTED', value: (row: Entry) => formatTime(row.created_at) },
    { title: 'WAITS FOR', value: (row: Entry) => waitingWord(row.waiting_for) },
    { title: 'ERROR', value: (row: Entry) => row.error?.code },
  ];
  const stuck = new Set(
    items.flatMap(({ waiting_for: waiting }) => (waiting?.reason === 'no_worker' ? [waiting.detail] : [])),
  );
  const warnings = [...stuck].map((detail) => `warning: ${printable(detail)}\n`).join('');
  return { json: { items }, text: renderTable(columns, items, 'No jobs are running or waiting.') + warnings };
}

type Query = { status?: Backup['status'] };

async function backups(
  client: StrataClient,
  query: Query,
  limit: number,
  { io }: CommandContext,
): Promise<Entry[]> {
  const list = (page: object) => client.backups.list({ ...query, ...page }, { signal: io.signal });
  const items = await allItems(list, limit);
  return items.map((item) => ({
    ...pick(item),
    kind: 'backup',
    what: `${item.vm_name} disk ${item.disk_id}`,
  }));
}

async function restores(
  client: StrataClient,
  query: Query,
  limit: number,
  { io }: CommandContext,
): Promise<Entry[]> {
  const list = (page: object) => client.restores.list({ ...query, ...page }, { signal: io.signal });
  const items = await allItems(list, limit);
  return items.map((item) => ({ ...pick(item), kind: 'restore', what: item.target.path }));
}

function pick({ id, status, progress, error, created_at, attempts, waiting_for }: Backup | Restore) {
  return { id, status, progress, error, created_at, attempts, waiting_for: waiting_for ?? null };
}

/** What an ended job reported last says nothing any more. */
function percent({ status, progress }: Entry): string | null {
  const share = progress && status === 'running' ? shareDone(progress) : null;
  return share === null ? null : `${(share * 100).toFixed(1)} %`;
}
