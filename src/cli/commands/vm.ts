import type { Command } from 'commander';
import { allItems, type Vm, type VmDiskPut, type VmPut } from '../../client/index.js';
import { action, collect, type CommandContext, type Output } from '../command.js';
import { describeSource, FORCE_SHARE_HELP, parseDiskSource, parsePushed, parseSource } from '../diskSpec.js';
import { refuseIdle } from '../idleOptions.js';
import type { CliIo } from '../io.js';
import { findVm, repositoryNames } from '../lookUp.js';
import { renderFields, renderTable } from '../render/table.js';
import { formatTime } from '../render/time.js';
import { renderWarnings } from '../render/warnings.js';

interface AddOptions {
  repo: string;
  disk?: string[];
  format?: string;
  forceShare?: true;
  upstreamId?: string;
}

/** `strata vm add|list|show|remove` */
export function addVmCommand(program: Command, io: CliIo): void {
  const vm = program.command('vm').description('VMs and their disks');
  vm.command('add <name>')
    .description('register a VM with all its disks, so that a backup need only name it')
    .requiredOption('--repo <repository>', 'repository, by name or id')
    .option(
      '--disk <[id=]source>',
      'a disk: 0=/path/disk.qcow2, 1=nbd://host/export or 2=push:20GiB; repeat per disk',
      collect,
    )
    .option('--format <format>', 'format of the image files, where the extension does not tell')
    .option('--force-share', FORCE_SHARE_HELP)
    .option('--upstream-id <id>', "the upstream's own id of the VM: finds the VM again when it is renamed")
    .addHelpText('after', '\nA registered disk that is not listed again is retired; its backups stay.')
    .action(action(io, addVm));
  vm.command('list')
    .description('list the VMs')
    .option('--repo <repository>', 'of one repository, by name or id')
    .action(action(io, listVms));
  vm.command('show <vm>')
    .description('show a VM and its disks, by name or id')
    .option('--repo <repository>', 'where several repositories have a VM of this name')
    .action(action(io, showVm));
  vm.command('remove <vm>')
    .description('forget a VM that has no restore points, no open jobs and no policy, by name or id')
    .option('--repo <repository>', 'where several repositories have a VM of this name')
    .action(action(io, removeVm));
}

async function removeVm(context: CommandContext, name: string, options: { repo?: string }): Promise<Output> {
  const { signal } = context.io;
  const client = await context.client();
  const vm = await findVm(client, name, { repo: options.repo, signal });
  await client.vms.remove(vm.vm_context_id, { signal });
  return {
    json: { vm_context_id: vm.vm_context_id, removed: true },
    text: `Removed VM ${vm.vm_name} (${vm.vm_context_id}).\n`,
  };
}

async function addVm(context: CommandContext, name: string, options: AddOptions): Promise<Output> {
  if (!(options.disk ?? []).some(isFile)) {
    refuseIdle(options.format, '--format', 'no --disk is a file, and others have no format');
    refuseIdle(options.forceShare, '--force-share', "no --disk is a file, and others have no lock of QEMU's");
  }
  const body: VmPut = {
    vm_name: name,
    repository_id: options.repo,
    ...(options.upstreamId === undefined ? {} : { upstream_id: options.upstreamId }),
    disks: (options.disk ?? []).map((text) => parseDisk(text, options)),
  };
  const client = await context.client();
  const vm = await client.vms.put(body, { signal: context.io.signal });
  const disks = vm.disks.filter((disk) => disk.retired_at === null).map((disk) => disk.disk_id);
  const which = disks.length === 0 ? 'without disks' : `with disk ${disks.join(', ')}`;
  const before = vm.previous_name === null ? '' : `, once called ${vm.previous_name},`;
  const text = `Registered VM ${vm.vm_name} (${vm.vm_context_id})${before} ${which}.\n${renderWarnings(vm)}`;
  return { json: vm, text };
}

function parseDisk(text: string, { format, forceShare }: AddOptions): VmDiskPut {
  const { diskId, source } = parseDiskSource(text);
  const pushed = parsePushed(source);
  if (pushed !== undefined) return { disk_id: diskId, source: { type: 'push' }, virtual_size: pushed };
  return { disk_id: diskId, source: parseSource(source, isFile(text) ? { format, forceShare } : {}) };
}

function isFile(text: string): boolean {
  const { source } = parseDiskSource(text);
  return parsePushed(source) === undefined && !/^nbds?(\+unix)?:/i.test(source);
}

async function listVms(context: CommandContext, options: { repo?: string }): Promise<Output> {
  const client = await context.client();
  const { signal } = context.io;
  const query = options.repo === undefined ? {} : { repository_id: options.repo };
  const items = await allItems((page) => client.vms.list({ ...query, ...page }, { signal }));
  const names = context.json ? new Map<string, string>() : await repositoryNames(client, signal);
  const columns = [
    { title: 'NAME', value: (row: Vm) => row.vm_name },
    { title: 'REPOSITORY', value: (row: Vm) => names.get(row.repository_id) ?? row.repository_id },
    { title: 'DISKS', value: (row: Vm) => presentDisks(row).join(',') },
    { title: 'UPSTREAM ID', value: (row: Vm) => row.upstream_id },
    { title: 'ID', value: (row: Vm) => row.vm_context_id },
  ];
  const empty = 'No VMs. Register one: strata vm add NAME --repo REPOSITORY --disk /path/disk.qcow2';
  return { json: { items }, text: renderTable(columns, items, empty) };
}

async function showVm(context: CommandContext, name: string, options: { repo?: string }): Promise<Output> {
  const client = await context.client();
  const vm = await findVm(client, name, { repo: options.repo, signal: context.io.signal });
  const head = renderFields([
    ['id', vm.vm_context_id],
    ['name', vm.vm_name],
    ...(vm.previous_name === null ? [] : [['once called', vm.previous_name] as const]),
    ['upstream id', vm.upstream_id],
    ['repository', vm.repository_id],
    ['created', formatTime(vm.created_at)],
  ]);
  type Disk = Vm['disks'][number];
  const columns = [
    { title: 'DISK', value: (row: Disk) => row.disk_id, align: 'right' as const },
    { title: 'LABEL', value: (row: Disk) => row.label },
    { title: 'SIZE', value: (row: Disk) => context.size(row.virtual_size), align: 'right' as const },
    { title: 'STATE', value: (row: Disk) => (row.retired_at === null ? 'present' : 'retired') },
    { title: 'SOURCE', value: (row: Disk) => describeSource(row.source) },
    { title: 'CHAIN', value: (row: Disk) => row.chain_id },
  ];
  return { json: vm, text: `${head}\n${renderTable(columns, vm.disks, 'No disks.')}` };
}

function presentDisks(vm: Vm): number[] {
  return vm.disks.filter((disk) => disk.retired_at === null).map((disk) => disk.disk_id);
}
