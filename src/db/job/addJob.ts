import type { EntityManager } from 'typeorm';
import type {
  BackupRequest,
  MaintenanceParams,
  MaintenanceType,
  RequestedType,
  RestoreFormat,
  RestoreTarget,
} from '../../entities/index.js';
import { newId } from '../../shared/ids.js';
import type { Delivery, JobKind } from '../../shared/jobs.js';
import { type ChainPlace, placeOfChain } from '../chain/place.js';
import { KIND_FACTS } from './kinds.js';
import { isLine, placeOfLine } from './line.js';
import type { Effect } from './order.js';
import { type Position, takePosition } from './position.js';

/** Of work that nobody waits for: behind every backup (0 to 1000) for a slot, and behind the maintenance that somebody asked for. */
export const UNASKED_PRIORITY = 1001;

/** What every job may ask for. */
export interface JobWishes {
  /** 0, the default, is first. */
  priority?: number | undefined;
  /** Bandwidth limit of the job's own; null, the default: none. */
  maxBytesPerSecond?: number | null | undefined;
  /** From the start of its first attempt in which it must have ended; null, the default: STRATA_JOB_DEADLINE_MS. */
  deadlineSeconds?: number | null | undefined;
}

/** A job that was added. */
export interface AddedJob {
  id: string;
  status: Position['status'];
  /** Whether backups are among the jobs in front. */
  backupsInFront: boolean;
  /** Owed after the commit; undefined while jobs in front have the turn. */
  delivery: Delivery | undefined;
}

/** An expression in place of a value. */
interface Expression {
  sql: string;
  values: unknown[];
}

interface NewJob extends JobWishes {
  kind: JobKind;
  place: Pick<ChainPlace, 'chainId' | 'repositoryId' | 'pool'>;
  effect: Effect;
  /** It waits for its change list, and must not be released before. */
  awaits?: boolean;
  createdAt?: Expression;
  /** The columns that only its kind has. */
  own: Record<string, string | number | boolean | null | Expression>;
  /** Names the id only. */
  now: Date;
}

const NOW: Expression = { sql: 'UTC_TIMESTAMP(3)', values: [] };

/**
 * Adds a job of any kind at the end of its chain's FIFO: the one place where jobs come from.
 * @param position a place in front of others, where one was made
 */
async function addJob(tx: EntityManager, job: NewJob, position?: Position): Promise<AddedJob> {
  const { kind, place, effect, awaits = false, priority = 0 } = job;
  const { seq, status, backupsInFront, passed } =
    position ?? (await takePosition(tx, place.chainId, { effect, awaits }));
  const id = newId(KIND_FACTS[kind].prefix, job.now);
  const row: NewJob['own'] = {
    id,
    chain_id: place.chainId,
    seq,
    status,
    priority,
    max_bytes_per_second: job.maxBytesPerSecond ?? null,
    deadline_seconds: job.deadlineSeconds ?? null,
    created_at: job.createdAt ?? NOW,
    repository_id: place.repositoryId,
    ...job.own,
  };
  const cells = Object.values(row).map((cell): Expression => {
    return typeof cell === 'object' && cell !== null ? cell : { sql: '?', values: [cell] };
  });
  await tx.query(
    `INSERT INTO ${KIND_FACTS[kind].table} (${Object.keys(row).join(', ')}) VALUES (${cells.map(({ sql }) => sql).join(', ')})`,
    cells.flatMap(({ values }) => values),
  );
  const note = passed ? { note: passed } : {};
  const delivery = { kind, jobId: id, pool: place.pool, delivery: 1, delayMs: 0, priority, ...note };
  return { id, status, backupsInFront, delivery: status === 'released' ? delivery : undefined };
}

export interface NewMaintenance extends JobWishes {
  /** Or the line of a repository. */
  chainId: string;
  type: MaintenanceType;
  params: MaintenanceParams;
  now: Date;
}

/** @param position a place in front of others, where one was made @throws not_found when there is no such chain */
export async function addMaintenanceJob(
  tx: EntityManager,
  { chainId, type, params, ...rest }: NewMaintenance,
  position?: Position,
): Promise<AddedJob> {
  const place = await (isLine(chainId) ? placeOfLine : placeOfChain)(tx, chainId);
  const effect = type === 'validate' ? 'reads' : 'changes';
  const own = { type, params: JSON.stringify(params) };
  return addJob(tx, { ...rest, kind: 'maintenance', place, effect, own }, position);
}

export interface NewRestore extends JobWishes {
  place: NewJob['place'];
  backupId: string;
  target: RestoreTarget;
  format: RestoreFormat;
  verify: boolean;
  allowDamaged: boolean;
  now: Date;
}

export async function addRestoreJob(
  tx: EntityManager,
  { place, backupId, target, format, verify, allowDamaged, ...rest }: NewRestore,
): Promise<AddedJob> {
  const own = {
    backup_id: backupId,
    target: JSON.stringify(target),
    format,
    verify,
    allow_damaged: allowDamaged,
  };
  return addJob(tx, { ...rest, kind: 'restore', place, effect: 'reads', own });
}

/** A backup of one disk, as it was asked for. */
export interface NewBackup extends JobWishes {
  place: NewJob['place'];
  restorePointId: string;
  vmContextId: string;
  diskId: number;
  requestedType: RequestedType;
  changeId: string | null;
  sinceChangeId: string | null;
  request: BackupRequest;
  virtualSize: number | null;
  tags: Record<string, string> | undefined;
  /** Name of the change list that comes with it; null where none does. */
  extentsUpload: string | null;
  /** Milliseconds for which it waits for a change list that follows; null where none does. */
  extentsWaitMs: number | null;
  now: Date;
}

/** Adds the job, and the place where the agent of a pushed backup is heard. */
export async function addBackupJob(tx: EntityManager, backup: NewBackup): Promise<AddedJob> {
  const { place, restorePointId, extentsWaitMs, request, tags } = backup;
  const { priority, maxBytesPerSecond, deadlineSeconds, now } = backup;
  const added = await addJob(tx, {
    kind: 'backup',
    place,
    effect: 'adds',
    awaits: extentsWaitMs !== null,
    priority,
    maxBytesPerSecond,
    deadlineSeconds,
    now,
    // One instant for all disks of the VM.
    createdAt: {
      sql: '(SELECT p.created_at FROM restore_points p WHERE p.id = ?)',
      values: [restorePointId],
    },
    own: {
      restore_point_id: restorePointId,
      vm_context_id: backup.vmContextId,
      disk_id: backup.diskId,
      requested_type: backup.requestedType,
      change_id: backup.changeId,
      since_change_id: backup.sinceChangeId,
      request: JSON.stringify(request),
      virtual_size: backup.virtualSize,
      tags: tags ? JSON.stringify(tags) : null,
      extents_upload: backup.extentsUpload,
      awaits_extents_until:
        extentsWaitMs === null
          ? null
          : { sql: 'UTC_TIMESTAMP(3) + INTERVAL ? MICROSECOND', values: [extentsWaitMs * 1000] },
    },
  });
  if (request.source.type === 'push')
    await tx.query(`INSERT INTO push_exports (backup_id, state) VALUES (?, 'waiting')`, [added.id]);
  return added;
}
