import type { Command } from 'commander';
import type { Backup } from '../../client/index.js';
import { action, type CommandContext, type Output } from '../command.js';
import { checkId } from '../idArgument.js';
import type { CliIo } from '../io.js';
import { formatRate } from '../render/bytes.js';
import { renderFields } from '../render/table.js';
import { formatSeconds, formatTime, secondsBetween } from '../render/time.js';
import { parseDiskId } from '../diskSpec.js';
import { findVm } from '../lookUp.js';
import { chainSpace, renderChain } from '../render/chain.js';

/** `strata show BACKUP` */
export function addShowCommand(program: Command, io: CliIo): void {
  program.command('show <backup>').description('show one backup').action(action(io, showBackup));
}

async function showBackup(context: CommandContext, id: string): Promise<Output> {
  const client = await context.client();
  const backup = await client.backups.get(checkId(id, 'backup', ['backup']), { signal: context.io.signal });
  return { json: backup, text: renderBackup(backup, context.size) };
}

/** Draws one backup with all that is known of it. */
export function renderBackup(backup: Backup, size: CommandContext['size']): string {
  const seconds = secondsBetween(backup.started_at, backup.completed_at);
  const rate = seconds && backup.bytes_transferred !== null ? backup.bytes_transferred / seconds : null;
  return renderFields([
    ['id', backup.id],
    ['vm', `${backup.vm_name} (${backup.vm_context_id})`],
    ['disk', backup.disk_id],
    ['restore point', backup.restore_point_id],
    ['chain', backup.chain_id],
    ['type', backup.backup_type],
    ['requested', backup.requested_type],
    ['because', backup.demoted_reason],
    ['status', backup.status],
    ['error', backup.error ? `${backup.error.detail ?? ''} [${backup.error.code}]` : null],
    ['write to', backup.nbd_export && `${backup.nbd_export.uri} (${writesWhat(backup.nbd_export)})`],
    ['health', backup.health],
    ['parent', backup.parent_backup_id],
    ['change id', backup.change_id],
    ['since change id', backup.since_change_id],
    ['file', backup.repository_path],
    ['virtual size', size(backup.virtual_size)],
    ['stored', size(backup.size_bytes)],
    ['transferred', size(backup.bytes_transferred)],
    ['content id', backup.content_id],
    ['protected until', formatTime(backup.protected_until)],
    [
      'tags',
      Object.entries(backup.tags ?? {})
        .map(([name, value]) => `${name}=${value}`)
        .join(' '),
    ],
    ['attempts', backup.attempts],
    ['accepted', formatTime(backup.created_at)],
    ['started', formatTime(backup.started_at)],
    ['ended', formatTime(backup.completed_at)],
    ['took', seconds === null ? null : `${formatSeconds(seconds)} (${formatRate(rate)})`],
  ]);
}

/** What an agent has to write. */
function writesWhat(open: NonNullable<Backup['nbd_export']>): string {
  return open.backup_type === 'full' ? 'the whole disk' : `changes since ${open.since_change_id ?? '-'}`;
}

/** `strata chain VM DISK` */
export function addChainCommand(program: Command, io: CliIo): void {
  program
    .command('chain <vm> [disk]')
    .description('draw the chain of a disk (default: disk 0): each layer with its size, and the space saved')
    .option('--repo <repository>', 'where several repositories have a VM of this name')
    .action(action(io, showChain));
}

async function showChain(
  context: CommandContext,
  name: string,
  disk: string | undefined,
  options: { repo?: string },
): Promise<Output> {
  const diskId = parseDiskId(disk ?? '0');
  const client = await context.client();
  const { signal } = context.io;
  const vm = await findVm(client, name, { repo: options.repo, signal });
  const chain = await client.vms.chain(vm.vm_context_id, diskId, { signal });
  const { points, logical, stored, asFulls } = chainSpace(chain.backups);
  const space = { points, logical_bytes: logical, stored_bytes: stored, as_fulls_bytes: asFulls };
  return { json: { ...chain, space }, text: renderChain(chain, context.size) };
}
