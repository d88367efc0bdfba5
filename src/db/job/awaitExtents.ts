import type { Delivery, JobStatus } from '../../shared/jobs.js';
import type { DataSource, EntityManager } from 'typeorm';
import { BackupExtents } from '../../entities/index.js';
import { StrataError } from '../../shared/errors.js';
import { affectedRows, asking, expectOneRow, inTransaction } from '../transaction.js';
import { closeJob } from './close.js';
import { lockChain, releaseHead, tryLockChain } from './position.js';

/** A backup as far as its change list goes. */
export interface ExtentsState {
  chainId: string;
  status: JobStatus;
  virtualSize: number | null;
  /** True while the list is still to come. */
  awaits: boolean;
  /** Of the list that has come. */
  sha256: string | null;
}

interface StateRow {
  chain_id: string;
  status: JobStatus;
  virtual_size: string | null;
  awaits: number;
  extents_sha256: string | null;
}

/** @throws not_found, database_unavailable */
export function extentsState(ds: DataSource, backupId: string): Promise<ExtentsState> {
  return asking(() => readState(ds, backupId, ''));
}

async function readState(
  runner: Pick<EntityManager, 'query'>,
  backupId: string,
  lock: '' | 'FOR UPDATE',
): Promise<ExtentsState> {
  const rows = await runner.query<StateRow[]>(
    `SELECT chain_id, status, virtual_size, awaits_extents_until IS NOT NULL AS awaits, extents_sha256
     FROM backup_jobs WHERE id = ? ${lock}`,
    [backupId],
  );
  const row = rows[0];
  if (!row) throw new StrataError('not_found', `There is no backup ${backupId}.`);
  return {
    chainId: row.chain_id,
    status: row.status,
    virtualSize: row.virtual_size === null ? null : Number(row.virtual_size),
    awaits: row.status === 'queued' && Number(row.awaits) === 1,
    sha256: row.extents_sha256,
  };
}

/** Stores a part of a list. */
export async function addExtentsPart(
  runner: Pick<EntityManager, 'query'>,
  place: { backupId: string; upload: string; part: number },
  pairs: Buffer,
): Promise<void> {
  await runner.query('INSERT INTO backup_extents (backup_id, upload, part, pairs) VALUES (?, ?, ?, ?)', [
    place.backupId,
    place.upload,
    place.part,
    pairs,
  ]);
}

/** @returns undefined behind the last part @throws database_unavailable */
export async function readExtentsPart(
  ds: DataSource,
  place: { backupId: string; upload: string; part: number },
): Promise<Buffer | undefined> {
  const row = await asking(() => ds.getRepository(BackupExtents).findOneBy(place));
  return row?.pairs;
}

/** Removes the parts of an upload that is not wanted. What a crash leaves goes with the end of the job. */
export async function dropUpload(ds: DataSource, backupId: string, upload: string): Promise<void> {
  await asking(() =>
    ds.query('DELETE FROM backup_extents WHERE backup_id = ? AND upload = ?', [backupId, upload]),
  );
}

/**
 * Makes an upload the change list of its backup, which now waits no more; if it is the first of its chain it is released.
 * @returns `repeated` when the very same list had been taken already: the new parts are then not wanted
 * @throws wrong_state when the backup does not wait for a list (any more)
 */
export async function fulfilExtents(
  ds: DataSource,
  backupId: string,
  list: { upload: string; sha256: string },
): Promise<{ repeated: boolean; next: Delivery | undefined }> {
  const { chainId } = await extentsState(ds, backupId);
  return inTransaction(ds, async (tx) => {
    await lockChain(tx, chainId);
    const state = await readState(tx, backupId, 'FOR UPDATE');
    if (state.sha256 === list.sha256) return { repeated: true, next: undefined };
    if (!state.awaits) throw noListWanted(backupId, state);
    const result: unknown = await tx.query(
      `UPDATE backup_jobs SET awaits_extents_until = NULL, extents_upload = ?, extents_sha256 = ?
       WHERE id = ? AND status = 'queued' AND awaits_extents_until IS NOT NULL`,
      [list.upload, list.sha256, backupId],
    );
    expectOneRow(result, () => noListWanted(backupId, state));
    return { repeated: false, next: await releaseHead(tx, chainId) };
  });
}

export function noListWanted(backupId: string, { status, sha256 }: ExtentsState): StrataError {
  const why = sha256 === null ? 'waits for no change list' : 'has another change list already';
  return new StrataError('wrong_state', `Backup ${backupId} is ${status} and ${why}.`);
}

/** Ends the backups whose change list has not come in time, and releases those behind them. */
export async function expireAwaiting(ds: DataSource): Promise<Delivery[]> {
  const late = await ds.query<{ id: string; chain_id: string }[]>(
    'SELECT id, chain_id FROM backup_jobs WHERE awaits_extents_until < UTC_TIMESTAMP(3)',
  );
  const released: Delivery[] = [];
  for (const { id, chain_id } of late) {
    const next = await inTransaction(ds, async (tx) => {
      if (!(await tryLockChain(tx, chain_id))) return undefined;
      const result: unknown = await tx.query(
        `UPDATE backup_jobs SET status = 'failed', error_code = 'deadline_exceeded',
                error_detail = 'Its change list did not come in time.', completed_at = UTC_TIMESTAMP(3)
         WHERE id = ? AND status = 'queued' AND awaits_extents_until < UTC_TIMESTAMP(3)`,
        [id],
      );
      // One that was cancelled meanwhile is only crossed off.
      await tx.query('UPDATE backup_jobs SET awaits_extents_until = NULL WHERE id = ?', [id]);
      if (affectedRows(result) === 1) await closeJob(tx, 'backup', id, 'failed');
      return releaseHead(tx, chain_id);
    });
    if (next) released.push(next);
  }
  return released;
}
