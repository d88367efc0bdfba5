import { basename } from 'node:path';
import type { Health } from '../../entities/index.js';
import type { ExistingDisk, ExistingRow, FoundBackup, FoundDisk, Problem, ProblemCode } from './facts.js';

/** A backup that is going to have a row, and the health that its files show. */
export interface RebuiltBackup extends FoundBackup {
  health: Health;
}

export interface DiskPlan {
  chainId: string | undefined;
  /** Oldest first, so that a parent is always before its children. */
  insert: RebuiltBackup[];
  /** Backups that the catalogue has already. */
  existing: number;
  /** Problems with the chain and the catalogue; those with the files are the reader's. */
  problems: Problem[];
}

/** What stands in the chain so far while the plan is made. */
interface Standing {
  seqs: Set<number>;
  paths: Set<string>;
  parents: Set<string>;
  /** Completed backups: file and health. */
  backups: Map<string, { path: string; health: Health }>;
}

/**
 * Decides which of the found backups get a row. Existing rows are left as they are and have precedence; of two backups
 * that exclude each other the earlier one wins. Pure.
 */
export function planDisk(found: FoundDisk, existing: ExistingDisk): DiskPlan {
  const chainId = existing.chainId ?? found.backups.at(-1)?.manifest.chain_id;
  const plan: DiskPlan = { chainId, insert: [], existing: 0, problems: [] };
  const rows = new Map(existing.rows.map((row) => [row.id, row]));
  const standing = standingRows(existing.rows.filter((row) => row.chainId === chainId));
  for (const backup of found.backups) {
    const { backup_id } = backup.manifest;
    const row = rows.get(backup_id);
    const known = row?.status === 'completed' || row?.status === 'expired';
    if (known && row.path === backup.path) {
      plan.existing++;
      continue;
    }
    const reason = row ? 'id_taken' : refusalOf(backup, chainId, existing, standing);
    // What is left of a removal that was cut is no loss.
    if (reason === 'parent_missing' && backup.manifest.expired_at !== undefined) continue;
    if (reason) {
      plan.problems.push({ file: backup.file, backup_id, severity: 'refused', reason });
      continue;
    }
    const health = healthOf(backup, standing);
    stand(standing, backup, health);
    plan.insert.push({ ...backup, health });
  }
  return plan;
}

function standingRows(rows: readonly ExistingRow[]): Standing {
  const completed = rows.filter(
    ({ status, path, removed }) =>
      path !== null && (status === 'completed' || (status === 'expired' && !removed)),
  );
  return {
    seqs: new Set(rows.map((row) => row.seq)),
    paths: new Set(rows.flatMap((row) => (row.path === null ? [] : [row.path]))),
    parents: new Set(rows.flatMap((row) => (row.successorOf === null ? [] : [row.successorOf]))),
    backups: new Map(completed.map(({ id, path, health }) => [id, { path: path ?? '', health }])),
  };
}

function refusalOf(
  { manifest, path }: FoundBackup,
  chainId: string | undefined,
  existing: ExistingDisk,
  standing: Standing,
): ProblemCode | undefined {
  if (existing.vmTaken) return 'vm_taken';
  if (existing.chainTaken) return 'chain_taken';
  if (existing.busy) return 'chain_busy';
  if (manifest.chain_id !== chainId) return 'chain_differs';
  if (standing.backups.has(manifest.backup_id)) return 'id_taken';
  if (standing.seqs.has(manifest.seq)) return 'seq_taken';
  if (standing.paths.has(path)) return 'path_taken';
  const pointOwner = existing.points.get(manifest.restore_point_id);
  if (pointOwner !== undefined && pointOwner !== manifest.vm_context_id) return 'point_taken';
  const parentId = manifest.parent_backup_id;
  if (parentId === null) return undefined;
  const parent = standing.backups.get(parentId);
  if (!parent) return 'parent_missing';
  if (basename(parent.path) !== manifest.parent_file) return 'parent_file_differs';
  // An expired layer may stand where the merged file of the run above it stands already.
  if (isLink(manifest) && standing.parents.has(parentId)) return 'fork';
  return undefined;
}

/** As a validation judges: its own file first, then what it stands on. */
function healthOf({ manifest, imageLength, isReconstructed }: FoundBackup, standing: Standing): Health {
  if (imageLength < manifest.file_length && manifest.expired_at === undefined) return 'damaged';
  const parent =
    manifest.parent_backup_id === null ? undefined : standing.backups.get(manifest.parent_backup_id);
  const standsOnBad = parent !== undefined && parent.health !== 'ok';
  const grown = imageLength > manifest.file_length && manifest.expired_at === undefined;
  return grown || standsOnBad || isReconstructed ? 'suspect' : 'ok';
}

function stand(standing: Standing, { manifest, path }: FoundBackup, health: Health): void {
  standing.seqs.add(manifest.seq);
  standing.paths.add(path);
  standing.backups.set(manifest.backup_id, { path, health });
  if (isLink(manifest) && manifest.parent_backup_id !== null) standing.parents.add(manifest.parent_backup_id);
}

/** True for the increments of which one parent may have one. */
export function isLink({ backup_type, expired_at }: FoundBackup['manifest']): boolean {
  return backup_type === 'incremental' && expired_at === undefined;
}
