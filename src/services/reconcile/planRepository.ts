import { join } from 'node:path';
import type { DataSource } from '../../db/database.js';
import { abortable, throwIfAborted } from '../../shared/abort.js';
import { listNames } from '../repository/scan.js';
import { diskDirectory } from '../repository/layout.js';
import { assertRepository } from '../repository/marker.js';
import { readAllImages } from '../repository/standing/index.js';
import { disksWithBackups } from '../../db/chain/compared.js';
import { collectDirectory } from './collect.js';
import type { Action, DirectoryFacts, PlanClock, ReasonCode } from './facts.js';
import { planDirectory } from './plan.js';
import { scanVms } from '../repository/scan.js';

/** Files of a repository that is left alone for this long after they were written may still belong to somebody. */
export const GRACE_MS = 3_600_000;
/** What the catalogue lacks and the files have. */
const KEPT: readonly ReasonCode[] = ['restorable', 'needed', 'unknown_backup'];

export interface RepositoryPlan {
  directories: number;
  files: number;
  actions: Action[];
  /** Images that `qemu-img` restores and the catalogue does not know, with their sidecars. */
  restorable: { files: number; bytes: number };
}

export interface PlanOptions extends PlanClock {
  ds: DataSource;
  repository: { id: string; rootPath: string };
  signal: AbortSignal;
}

/**
 * Compares a whole repository with the catalogue, directory by directory, and changes nothing. Memory is that of one
 * VM's names and of the actions.
 * @throws repository_unavailable, repository_marker_foreign, database_unavailable
 */
export async function planRepository(options: PlanOptions): Promise<RepositoryPlan> {
  const { ds, repository, signal } = options;
  const { id: repositoryId, rootPath: root } = repository;
  const seen = new Set<string>();
  const plan: RepositoryPlan = {
    directories: 0,
    files: 0,
    actions: [],
    restorable: { files: 0, bytes: 0 },
  };
  const allImages = once(() => readAllImages(repository, signal));
  for await (const vm of scanVms(root, repositoryId, { signal })) {
    for (const disk of vm.disks) {
      seen.add(disk.directory);
      plan.directories++;
      plan.files += disk.names.length;
      const facts = await collectDirectory({ ds, root, repositoryId, ...disk, allImages, signal });
      const actions = planDirectory(facts, options);
      plan.actions.push(...actions);
      countRestorable(plan.restorable, facts, actions);
    }
  }
  for (const disk of await disksWithBackups(ds, repositoryId)) {
    throwIfAborted(signal);
    const directory = diskDirectory(disk.vmContextId, disk.diskId);
    if (seen.has(directory)) continue;
    // Listed again: it may have been made since the scan.
    const names = await listNames(join(root, directory), signal);
    const facts = await collectDirectory({ ds, root, repositoryId, ...disk, directory, names, signal });
    plan.actions.push(...planDirectory(facts, options));
  }
  await abortable(assertRepository(root, repositoryId), signal);
  return plan;
}

function once<T>(work: () => Promise<T>): () => Promise<T> {
  let result: Promise<T> | undefined;
  return () => {
    result ??= work();
    return result;
  };
}

function countRestorable(
  sum: RepositoryPlan['restorable'],
  { directory, unknown }: DirectoryFacts,
  actions: readonly Action[],
): void {
  const files = new Set(actions.flatMap(({ reason, file }) => (KEPT.includes(reason) ? [file] : [])));
  for (const { name, bytes } of unknown) {
    if (!files.has(join(directory, name))) continue;
    sum.files++;
    sum.bytes += bytes;
  }
}
