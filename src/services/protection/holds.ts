import type { DataSource } from '../../db/database.js';
import {
  adoptHold,
  heldBackups,
  knownUnheld,
  noteHoldChange,
  pendingHolds,
  settleHoldChange,
} from '../../db/chain/protect.js';
import { abortable, throwIfAborted } from '../../shared/abort.js';
import { listHolds, readHold, removeDeadRecords, writeHold } from '../repository/holdRecords.js';
import { assertRepository } from '../repository/marker.js';

/** A repository whose protections and `immutable_days` are in the catalogue, and as records in itself: decision 16. */
export interface ProtectedRepository {
  ds: DataSource;
  repository: { id: string; rootPath: string };
  signal: AbortSignal;
}

/** Backups in one statement. */
const IDS_AT_ONCE = 500;

/**
 * Writes to a repository's records the changes of protections that are not there yet. Safe to repeat, and beside another: who
 * finds that the date was changed while it wrote the record writes it again.
 * @throws repository_unavailable, repository_marker_foreign, database_unavailable, or the signal's reason
 */
export async function recordHolds({ ds, repository, signal }: ProtectedRepository): Promise<void> {
  const { id, rootPath } = repository;
  for (;;) {
    const pending = await pendingHolds(ds, id);
    if (pending.length === 0) return;
    for (const change of pending) {
      throwIfAborted(signal);
      await abortable(assertRepository(rootPath, id), signal);
      await abortable(writeHold(rootPath, change.backupId, change.until), signal);
      if (!(await settleHoldChange(ds, change))) await noteHoldChange(ds, change.backupId);
    }
  }
}

/**
 * Lets catalogue and records say the same where neither has a change to tell: the later date holds, because a catalogue may be
 * an older copy, and a repository may lack its records. Records of backups that the catalogue does not know stay for a rebuild.
 * @returns backups that the catalogue had as less protected, and records that cannot be read
 * @throws as `recordHolds`
 */
export async function reconcileHolds(
  place: ProtectedRepository,
  now: Date,
): Promise<{ adopted: string[]; invalid: string[] }> {
  const { ds, repository, signal } = place;
  const { id, rootPath } = repository;
  await recordHolds(place);
  await abortable(assertRepository(rootPath, id), signal);
  await abortable(removeDeadRecords(rootPath, now.getTime()), signal);
  const { held, invalid } = await abortable(listHolds(rootPath), signal);
  const future = [...held].filter(([, until]) => until > now).map(([backupId]) => backupId);
  const adopted = await adoptHolds(place, future);
  const known = await heldBackups(ds, id);
  for (const [backupId, until] of known) {
    const record = held.get(backupId);
    if (record === undefined || record < until) await noteHoldChange(ds, backupId);
  }
  const past = [...held].filter(([, until]) => until <= now).map(([backupId]) => backupId);
  for (let from = 0; from < past.length; from += IDS_AT_ONCE) {
    for (const backupId of await knownUnheld(ds, past.slice(from, from + IDS_AT_ONCE)))
      await noteHoldChange(ds, backupId);
  }
  await recordHolds(place);
  return { adopted, invalid };
}

/**
 * Lets the catalogue protect those of these backups that their repository says are protected for longer.
 * @throws repository_unavailable, database_unavailable
 */
export async function adoptHolds(
  { ds, repository, signal }: ProtectedRepository,
  backupIds: readonly string[],
): Promise<string[]> {
  const adopted: string[] = [];
  for (const backupId of backupIds) {
    throwIfAborted(signal);
    const until = await abortable(readHold(repository.rootPath, backupId), signal);
    if (until instanceof Date && (await adoptHold(ds, backupId, until))) adopted.push(backupId);
  }
  return adopted;
}
