import type { Command } from 'commander';
import { action, type CommandContext, type Output } from '../command.js';
import { parseDiskId } from '../diskSpec.js';
import type { CliIo } from '../io.js';
import { findVm } from '../lookUp.js';
import { chainSpace, renderChain } from '../render/chain.js';

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
