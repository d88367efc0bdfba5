import type { DataSource, EntityManager } from 'typeorm';
import type { Health } from '../../entities/index.js';
import { JOB_KINDS, type JobStatus } from '../../shared/jobs.js';
import { JOB_TABLES, OPEN } from '../job/kinds.js';
import { asking } from '../transaction.js';

/** Ids in one statement; keeps it far below the server's packet limit. */
const IDS_AT_ONCE = 500;

interface Row {
  id: string;
  chain_id: string;
  seq: string;
  status: JobStatus;
  repository_path: string | null;
  parent_backup_id: string | null;
  successor_of: string | null;
  health: Health;
  size_bytes: string | null;
  removed: number;
}

const COLUMNS = `id, chain_id, seq, status, repository_path, parent_backup_id, successor_of, health, size_bytes,
  (file_removed_at IS NOT NULL) AS removed`;

/** A backup that the catalogue has already, in whatever chain. */
export interface ExistingRow {
  id: string;
  chainId: string;
  seq: number;
  status: JobStatus;
  path: string | null;
  parentBackupId: string | null;
  successorOf: string | null;
  /** An expired backup without files. */
  removed: boolean;
  health: Health;
  sizeBytes: number;
}

/** What the catalogue knows of a disk. */
export interface ExistingDisk {
  /** The chain of the VM's disk, if there is one. */
  chainId: string | undefined;
  /** The VM's name, or its id, is somebody else's. */
  vmTaken: boolean;
  /** The id of the chain is that of another disk's. */
  chainTaken: boolean;
  /** A lease is live, or a job is open. */
  busy: boolean;
  /** The rows of the chain, and those whose ids the files name. */
  rows: ExistingRow[];
  /** Restore points that the files name, with the VM that they belong to. */
  points: ReadonlyMap<string, string>;
}

/** A disk, as its files speak of it. */
export interface NamedDisk {
  repositoryId: string;
  vmContextId: string;
  diskId: number;
  vmName: string;
  upstreamId: string;
  /** Of the chain to which its newest backup says that it belongs. */
  chainId: string;
  backupIds: readonly string[];
  restorePointIds: readonly string[];
}

/** Reads what the catalogue knows of a disk, in a transaction or without one. @throws database_unavailable */
export async function readExisting(db: DataSource | EntityManager, disk: NamedDisk): Promise<ExistingDisk> {
  return asking(async () => {
    const chain = await chainOf(db, disk);
    const rows = new Map<string, ExistingRow>();
    const keep = (some: Row[]) => {
      for (const row of some) rows.set(row.id, toExisting(row));
    };
    if (chain)
      keep(await db.query<Row[]>(`SELECT ${COLUMNS} FROM backup_jobs WHERE chain_id = ?`, [chain.id]));
    for (const some of pieces(disk.backupIds))
      keep(await db.query<Row[]>(`SELECT ${COLUMNS} FROM backup_jobs WHERE id IN (?)`, [some]));
    return {
      chainId: chain?.id,
      vmTaken: await isVmTaken(db, disk),
      chainTaken: await isChainTaken(db, disk),
      busy: chain !== undefined && (Number(chain.live) === 1 || (await hasOpenJobs(db, chain.id))),
      rows: [...rows.values()],
      points: await pointsOf(db, disk.restorePointIds),
    };
  });
}

async function chainOf(db: DataSource | EntityManager, { vmContextId, diskId }: NamedDisk) {
  const rows = await db.query<{ id: string; live: number }[]>(
    `SELECT id, (lease_until IS NOT NULL AND lease_until > UTC_TIMESTAMP(3)) AS live FROM backup_chains
     WHERE vm_context_id = ? AND disk_id = ?`,
    [vmContextId, diskId],
  );
  return rows[0];
}

/** True where the VM's place is somebody else's: its id in another repository, or its name under another id. */
async function isVmTaken(
  db: DataSource | EntityManager,
  { repositoryId, vmContextId, vmName, upstreamId }: NamedDisk,
): Promise<boolean> {
  const rows = await db.query<{ vm_context_id: string; repository_id: string }[]>(
    `SELECT vm_context_id, repository_id FROM vm_contexts
     WHERE vm_context_id = ? OR (repository_id = ? AND vm_name = ? AND upstream_id = ?)`,
    [vmContextId, repositoryId, vmName, upstreamId],
  );
  return rows.some((row) => row.vm_context_id !== vmContextId || row.repository_id !== repositoryId);
}

async function isChainTaken(
  db: DataSource | EntityManager,
  { chainId, vmContextId, diskId }: NamedDisk,
): Promise<boolean> {
  const rows = await db.query<unknown[]>(
    'SELECT 1 FROM backup_chains WHERE id = ? AND NOT (vm_context_id = ? AND disk_id = ?)',
    [chainId, vmContextId, diskId],
  );
  return rows.length > 0;
}

async function hasOpenJobs(db: DataSource | EntityManager, chainId: string): Promise<boolean> {
  const parts = JOB_KINDS.map(
    (kind) => `SELECT 1 FROM ${JOB_TABLES[kind]} WHERE chain_id = ? AND status IN ${OPEN}`,
  );
  const rows = await db.query<unknown[]>(
    `${parts.join(' UNION ALL ')} LIMIT 1`,
    JOB_KINDS.map(() => chainId),
  );
  return rows.length > 0;
}

async function pointsOf(
  db: DataSource | EntityManager,
  restorePointIds: readonly string[],
): Promise<Map<string, string>> {
  const points = new Map<string, string>();
  for (const ids of pieces(restorePointIds)) {
    const rows = await db.query<{ id: string; vm_context_id: string }[]>(
      'SELECT id, vm_context_id FROM restore_points WHERE id IN (?)',
      [ids],
    );
    for (const { id, vm_context_id } of rows) points.set(id, vm_context_id);
  }
  return points;
}

function pieces(ids: readonly string[]): string[][] {
  return Array.from({ length: Math.ceil(ids.length / IDS_AT_ONCE) }, (_, i) =>
    ids.slice(i * IDS_AT_ONCE, (i + 1) * IDS_AT_ONCE),
  );
}

function toExisting(row: Row): ExistingRow {
  return {
    id: row.id,
    chainId: row.chain_id,
    seq: Number(row.seq),
    status: row.status,
    path: row.repository_path,
    parentBackupId: row.parent_backup_id,
    successorOf: row.successor_of,
    removed: Number(row.removed) === 1,
    health: row.health,
    sizeBytes: Number(row.size_bytes ?? 0),
  };
}
