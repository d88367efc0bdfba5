import type { DataSource, EntityManager } from '../../db/database.js';
import { abortable, throwIfAborted } from '../../shared/abort.js';
import { listHolds } from '../repository/holdRecords.js';
import { adoptHolds } from '../protection/holds.js';
import { adoptImmutableDays } from '../protection/immutability.js';
import { IMMUTABILITY_NAME, readImmutableDays } from '../repository/immutability.js';
import { assertRepository } from '../repository/marker.js';
import { scanVms } from '../repository/scan.js';
import { loadExisting } from './existing.js';
import type { FoundDisk, Problem } from './facts.js';
import { insertDisk } from './insert.js';
import { type DiskPlan, planDisk } from './plan.js';
import { missingDisks } from './points.js';
import { readDisk } from './readDisk.js';
import { completeDisk } from './withoutManifest.js';
import { basename } from 'node:path';
import { findContext } from '../../db/vm/vmContexts.js';
import { secondsOfName } from '../repository/layout.js';
import type { Neighbours } from './reconstruct.js';

/** What a rebuild did, or, as a dry run, would do with one disk. */
export interface RebuiltChain {
  chain_id: string;
  vm_context_id: string;
  vm_name: string;
  disk_id: number;
  /** Backups that got a row, had one, and were refused. */
  inserted: number;
  existing: number;
  refused: number;
}

export interface RebuildReport {
  inserted: number;
  existing: number;
  chains: RebuiltChain[];
  problems: Problem[];
}

export interface RebuildOptions {
  ds: DataSource;
  repository: { id: string; rootPath: string };
  dryRun: boolean;
  signal: AbortSignal;
  /** Where a job does it. */
  job?: {
    /** Before the rows of a disk are written; rejects when the job is not to go on. */
    assertHeld: () => Promise<void>;
    /** In the transaction that writes the rows of a chain. */
    note: (tx: EntityManager, chainId: string, inserted: number) => Promise<void>;
    /** @param bytes length of the images that have been looked at */
    onProgress: (bytes: number) => void;
  };
}

/**
 * Rebuilds the catalogue from the files (invariant 9): manifests become VMs, disks, chains, restore points and
 * completed backups under their own ids, in one transaction a chain. Rows that exist are left as they are, but for
 * protections that the repository says last longer; no file is touched, and a second run inserts nothing.
 * What has been inserted when a run is interrupted stays; the next run adds the rest.
 * @throws repository_unavailable, repository_marker_foreign, database_unavailable
 */
export async function rebuildCatalogue(options: RebuildOptions): Promise<RebuildReport> {
  const { repository, signal, job } = options;
  const { id: repositoryId, rootPath: root } = repository;
  const report: RebuildReport = { inserted: 0, existing: 0, chains: [], problems: [] };
  await abortable(assertRepository(root, repositoryId), signal);
  const { held, invalid } = await abortable(listHolds(root), signal);
  for (const file of invalid)
    report.problems.push({ file, backup_id: null, severity: 'warning', reason: 'hold_invalid' });
  if ((await abortable(readImmutableDays(root, repositoryId), signal)) === 'invalid') {
    report.problems.push({
      file: IMMUTABILITY_NAME,
      backup_id: null,
      severity: 'warning',
      reason: 'immutability_invalid',
    });
  }
  let bytes = 0;
  for await (const vm of scanVms(root, repositoryId, { signal })) {
    const read: FoundDisk[] = [];
    for (const disk of vm.disks) read.push(await readDisk({ root, repositoryId, disk, signal }));
    const disks: FoundDisk[] = [];
    for (const found of read) disks.push(await complete(options, found, read));
    // Nothing is concluded from files that were missing in a repository which went away meanwhile.
    await assertRepository(root, repositoryId);
    const missing = missingDisks(disks);
    for (const found of disks) {
      throwIfAborted(signal);
      addTo(report, found, await rebuildDisk(options, found, missing, held));
      bytes += found.backups.reduce((sum, { imageLength }) => sum + imageLength, 0);
      job?.onProgress(bytes);
    }
  }
  // Rows that were there may be those of an older copy: what is held stays held.
  if (!options.dryRun) {
    await adoptHolds(options, [...held.keys()]);
    await adoptImmutableDays(options);
  }
  return report;
}

/** With the images that have no manifest of their own, as far as files and catalogue tell what they are. */
async function complete(
  { ds, repository, signal }: RebuildOptions,
  found: FoundDisk,
  disks: readonly FoundDisk[],
): Promise<FoundDisk> {
  const existing = await loadExisting(ds, repository.id, found);
  const neighbours = await neighboursOf(ds, found, disks);
  const { id: repositoryId, rootPath: root } = repository;
  return completeDisk({ root, repositoryId, found, existing, neighbours, signal });
}

async function rebuildDisk(
  { ds, repository, dryRun, job }: RebuildOptions,
  found: FoundDisk,
  missing: ReadonlyMap<string, number>,
  held: ReadonlyMap<string, Date>,
): Promise<DiskPlan> {
  const plan = planDisk(found, await loadExisting(ds, repository.id, found));
  if (dryRun || plan.insert.length === 0) return plan;
  await job?.assertHeld();
  return insertDisk({ ds, repositoryId: repository.id, found, missing, held, note: job?.note });
}

function addTo(report: RebuildReport, found: FoundDisk, plan: DiskPlan): void {
  const problems = [...found.problems, ...plan.problems];
  const vmName = found.backups.at(-1)?.manifest.vm_name;
  report.inserted += plan.insert.length;
  report.existing += plan.existing;
  report.problems.push(...problems);
  if (plan.chainId === undefined || vmName === undefined) return;
  report.chains.push({
    chain_id: plan.chainId,
    vm_context_id: found.vmContextId,
    vm_name: vmName,
    disk_id: found.diskId,
    inserted: plan.insert.length,
    existing: plan.existing,
    refused: problems.filter(({ severity }) => severity === 'refused').length,
  });
}

/**
 * What the other manifests of a VM and the catalogue tell of a backup whose manifest is lost.
 * @param disks all disks of the VM
 * @throws database_unavailable
 */
async function neighboursOf(
  ds: DataSource,
  found: FoundDisk,
  disks: readonly FoundDisk[],
): Promise<Neighbours> {
  const others = disks.filter(({ diskId }) => diskId !== found.diskId).flatMap(({ backups }) => backups);
  const points = new Map<number, { id: string; createdAt: string }>();
  const ambiguous = new Set<number>();
  for (const { manifest, path } of others) {
    const { restore_point_id: id, created_at: createdAt } = manifest;
    // That of the name: where two instants share a second, the names of all disks have moved on alike.
    const second = secondsOfName(basename(path));
    if (second === undefined) continue;
    const known = points.get(second);
    if (known !== undefined && known.id !== id) ambiguous.add(second);
    points.set(second, { id, createdAt });
  }
  for (const second of ambiguous) points.delete(second);
  const known = await findContext(ds, found.vmContextId);
  const last = (found.backups.at(-1) ?? others.at(-1))?.manifest;
  return {
    vmName: known?.vmName ?? last?.vm_name ?? '',
    upstreamId: known?.upstreamId ?? last?.upstream_id ?? '',
    points,
  };
}
