// The rows of a chain in any of the states, without a file.
import type { DataSource } from 'typeorm';
import { type BackupRequest, Repository } from '../../../../src/entities/index.js';
import { insertChain } from '../../../helpers/chainRows.js';
import {
  type ChainState,
  HOUR_MS,
  JOB,
  type LayerName,
  LAYERS,
  NAMES,
  POINT,
  POINT_AT,
  sourceOf,
} from './states.js';

/** The rows that do not change: a chain, its layers, and the job of its next backup. */
export async function insertRows(ds: DataSource): Promise<void> {
  await ds.getRepository(Repository).insert({
    id: NAMES.repositoryId,
    name: NAMES.repositoryId,
    type: 'local',
    rootPath: '/nowhere',
    pool: 'default',
    createdAt: new Date(POINT_AT),
  });
  await insertChain(ds, NAMES);
  await ds.query(
    `INSERT INTO restore_points (id, vm_context_id, repository_id, type, status, created_at) VALUES (?, 'vm', 'repo', 'full', 'pending', ?)`,
    [POINT, new Date(POINT_AT)],
  );
  for (const [index, name] of LAYERS.entries())
    await ds.query(
      `INSERT INTO backup_jobs (id, chain_id, seq, status, created_at, restore_point_id, vm_context_id, disk_id, repository_id,
         requested_type, backup_type, parent_backup_id, successor_of, request, repository_path, virtual_size, size_bytes,
         content_id, completed_at)
       VALUES (?, 'chn', ?, 'completed', ?, ?, 'vm', 0, 'repo', 'auto', ?, ?, ?, '{}', ?, 512, 1, 'x', UTC_TIMESTAMP(3))`,
      [
        name,
        index + 1,
        new Date(POINT_AT - (LAYERS.length - index) * HOUR_MS),
        POINT,
        index === 0 ? 'full' : 'incremental',
        LAYERS[index - 1] ?? null,
        LAYERS[index - 1] ?? null,
        `vm/disk-0/${name}.qcow2`,
      ],
    );
  await ds.query(
    `INSERT INTO backup_jobs (id, chain_id, seq, status, created_at, restore_point_id, vm_context_id, disk_id, repository_id,
       requested_type, request) VALUES (?, 'chn', 9, 'released', ?, ?, 'vm', 0, 'repo', 'auto', '{}')`,
    [JOB, new Date(POINT_AT), POINT],
  );
}

/** Brings the chain and its disk into a state. */
export async function writeState(ds: DataSource, state: ChainState): Promise<void> {
  const { shape, layers } = state;
  await ds.query('UPDATE backup_jobs SET successor_of = NULL, status = ? WHERE id IN (?)', [
    'expired',
    [...LAYERS],
  ]);
  await ds.query('DELETE FROM layer_proofs');
  for (const [index, name] of LAYERS.entries()) {
    const layer = layers[name];
    const parent = shape === 'circle' && name === 'i1' ? 'i3' : (LAYERS[index - 1] ?? null);
    const isGone = shape === 'gap' && name === 'f';
    const expired = layer.expired || isGone;
    await ds.query(
      `UPDATE backup_jobs SET parent_backup_id = ?, successor_of = ?, status = ?, expired_at = ?, file_removed_at = ?, health = ?,
         damage_located = ?, content_wrong_at = ?, change_id = ?, virtual_size = ?, size_changes = ? WHERE id = ?`,
      [
        parent,
        expired ? null : parent,
        expired ? 'expired' : 'completed',
        expired ? new Date() : null,
        isGone ? new Date() : null,
        layer.health,
        layer.located,
        layer.contentWrong ? new Date() : null,
        layer.changeId,
        layer.size,
        layer.sizeChanges,
        name,
      ],
    );
    if (layer.hasRanges)
      await ds.query('INSERT INTO layer_proofs (backup_id, damage) VALUES (?, ?)', [
        name,
        JSON.stringify({ wrong: [[0, 512]], unproved: [] }),
      ]);
  }
  const isEmpty = shape === 'empty';
  const fullAt = state.fullAgeHours === null ? null : new Date(POINT_AT - state.fullAgeHours * HOUR_MS);
  await ds.query(
    `UPDATE backup_chains SET latest_backup_id = ?, full_backup_id = ?, tracker_distrust = ?, backups_since_full = ?, full_at = ?`,
    [isEmpty ? null : 'i3', isEmpty ? null : 'f', state.trackerDistrust, state.backupsSinceFull, fullAt],
  );
  await ds.query('UPDATE vm_disks SET virtual_size = ?, size_changes = ?, source = ?', [
    state.seenSize,
    state.sizeChanges,
    JSON.stringify(sourceOf(state)),
  ]);
}

/**
 * What the worker makes of the rows before it plans, if all goes well: files that are suspected as a whole are in order when
 * they are looked at again; located damage is put right from a disk that can be read, where nothing else is wrong and no
 * expired file has to be changed. Written down here once more, by the layers of the state and not by the code under test.
 */
export async function lookAndHeal(ds: DataSource, state: ChainState): Promise<void> {
  if (state.shape !== 'sound') return;
  const right = new Set<LayerName>();
  const bad: LayerName[] = [];
  for (const name of LAYERS) {
    const { health, located, contentWrong } = state.layers[name];
    if (health === 'suspect' && !located && !contentWrong) right.add(name);
    else if (health !== 'ok' || contentWrong) bad.push(name);
  }
  const heals =
    state.request.tracker !== 'push' &&
    bad.every((name) => state.layers[name].located && !state.layers[name].contentWrong) &&
    !LAYERS.some((name) => state.layers[name].expired && state.layers[name].hasRanges);
  if (heals) for (const name of bad) right.add(name);
  if (right.size > 0)
    await ds.query(`UPDATE backup_jobs SET health = 'ok', damage_located = 0 WHERE id IN (?)`, [[...right]]);
}

/** The request as the worker reads it. */
export function requestOf(state: ChainState): BackupRequest {
  const { onBrokenChain, tracker, fullEvery, fullAfterDays } = state.request;
  return {
    source: sourceOf(state),
    on_broken_chain: onBrokenChain,
    has_extents: tracker === 'extents',
    ...(fullEvery === undefined ? {} : { full_every: fullEvery }),
    ...(fullAfterDays === undefined ? {} : { full_after_days: fullAfterDays }),
  };
}

/** Lets the job of the next backup ask for what the state says. */
export async function writeRequest(ds: DataSource, state: ChainState): Promise<void> {
  const { type, since, size } = state.request;
  await ds.query(
    'UPDATE backup_jobs SET requested_type = ?, since_change_id = ?, virtual_size = ?, request = ? WHERE id = ?',
    [type, since, size, JSON.stringify(requestOf(state)), JOB],
  );
}
