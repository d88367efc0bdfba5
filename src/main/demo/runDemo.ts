import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Backup, Chain, Repository, StrataClient, Vm } from '../../client/index.js';
import { StrataError } from '../../shared/errors.js';
import { changeDisk } from './changeDisk.js';
import { compareWithSource } from './compare.js';
import { ensureRepository, ensureVm } from './register.js';
import type { Step } from './steps.js';
import type { DemoTarget } from './target.js';

export interface DemoRun {
  client: StrataClient;
  target: DemoTarget;
  dataDir: string;
  /** The restored copy lies here until it has been compared. */
  restoreDir: string;
  step: Step;
  note: (line: string) => void;
  /** Waits for a job and shows its progress. @throws the job's error when it does not complete */
  follow: (jobId: string, label: string) => Promise<void>;
  signal: AbortSignal;
}

export interface DemoResult {
  repository: Repository;
  vm: Vm;
  chain: Chain;
}

/**
 * Backs a disk up (a full at the first run, then an increment), restores the newest point, compares it with the source,
 * and removes the copy. Onto a chain that exists already, one more increment.
 */
export async function runDemo(run: DemoRun): Promise<DemoResult> {
  const { client, target, signal } = run;
  const repository = await ensureRepository(client, run.dataDir, signal);
  const vm = await ensureVm(client, repository, target, signal);
  const before = await client.vms.chain(vm.vm_context_id, 0, { signal });
  if (before.latest_backup_id === null) {
    await run.step('full backup', () => backUp(run, vm, 'full'));
  } else {
    run.note(`${vm.vm_name} has ${before.total_backups} backups already; this run adds an increment.`);
  }
  if (target.own) await run.step('change the disk', () => change(run));
  const backup = await run.step('incremental backup', () => backUp(run, vm, 'incremental'));
  if (backup.demoted_reason !== null)
    run.note(`It became a ${backup.backup_type}: ${backup.demoted_reason}.`);
  await restoreAndCompare(run, vm, backup);
  return { repository, vm, chain: await client.vms.chain(vm.vm_context_id, 0, { signal }) };
}

async function backUp(run: DemoRun, vm: Vm, type: 'full' | 'incremental'): Promise<Backup> {
  const { client, signal } = run;
  const body = {
    vm_name: vm.vm_name,
    repository_id: vm.repository_id,
    ...(vm.upstream_id === '' ? {} : { upstream_id: vm.upstream_id }),
    backup_type: type,
    disks: [{ disk_id: 0 }],
  };
  const accepted = await client.backups.create(body, { signal });
  const [disk] = accepted.disk_results;
  if (!disk) throw new StrataError('internal', 'The backup was accepted without a disk.');
  await run.follow(disk.backup_id, `${vm.vm_name} ${type}`);
  return client.backups.get(disk.backup_id, { signal });
}

async function change({ target, note, signal }: DemoRun): Promise<void> {
  if (target.source.type !== 'file') return;
  const label = new Date()
    .toISOString()
    .replaceAll(/[^0-9]/g, '')
    .slice(0, 17);
  const { written, removed, bytes } = await changeDisk(target.source.path, label, signal);
  note(`debugfs wrote ${written.length} files (${bytes / 1024} KiB) and removed ${removed.length}.`);
}

async function restoreAndCompare(run: DemoRun, vm: Vm, backup: Backup): Promise<void> {
  const { client, target, signal } = run;
  await mkdir(run.restoreDir, { recursive: true, mode: 0o700 });
  const path = join(run.restoreDir, `${backup.id}.raw`);
  try {
    await run.step('restore', async () => {
      const body = { backup_id: backup.id, target: { type: 'file' as const, path }, format: 'raw' as const };
      const { restore_id } = await client.restores.create(body, { signal });
      await run.follow(restore_id, `${vm.vm_name} restore`);
    });
    await run.step('compare', async () => {
      const { message, sha256 } = await compareWithSource(target.source, path, signal);
      run.note(`qemu-img compare: ${message}`);
      if (sha256 !== undefined) run.note(`SHA-256 of source and copy: ${sha256}`);
    });
  } finally {
    await rm(path, { force: true });
  }
}
