import {
  markExpired,
  markFilesRemoved,
  switchLayer,
  type SwitchedLayer,
  writeHead,
} from '../../db/chain/layers.js';
import type { DataSource, EntityManager } from '../../db/database.js';
import { fencedChange } from '../../db/job/fenced.js';
import type { ChainLease } from '../../db/job/lease.js';
import { type Layer, loadLayers } from './layer.js';
import { assertNoCircle, byId, lineageOf, type Link } from './lineage.js';

/** Where a chain ends, and what it holds. */
export interface Head {
  /** The newest restore point; null where there is none. */
  latest: string | null;
  /** The full that the latest stands on. */
  full: string | null;
  /** How many restore points. */
  points: number;
  /** What its files take. */
  bytes: number;
}

/**
 * The head of a chain: its latest is its newest restore point, its full is what that stands on. Where the way down leads to a
 * backup that is not there, the latest takes the full's place: a head without a full is none. Pure.
 * @param layers oldest first
 * @throws lineage_broken where parents go in a circle
 */
export function headOf(layers: readonly (Link & Pick<Layer, 'expired' | 'sizeBytes'>)[]): Head {
  const known = byId(layers);
  assertNoCircle(known);
  const points = layers.filter(({ expired }) => !expired);
  const latest = points.at(-1);
  const lineage = latest && lineageOf(known, latest.id);
  const full = lineage?.broken === undefined ? lineage?.layers.at(-1) : latest;
  return {
    latest: latest?.id ?? null,
    full: full?.id ?? null,
    points: points.length,
    bytes: layers.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
  };
}

/**
 * Brings the head up to date, in the transaction that has changed the layers. What counts since the last full stays: a merge
 * has not read the source, and must not put off a full that was asked for.
 */
async function advanceHead(tx: EntityManager, chainId: string): Promise<void> {
  await writeHead(tx, chainId, headOf(await loadLayers(tx, chainId)));
}

/**
 * Takes backups out of the catalogue's restore points; their files stay. All or nothing.
 * @throws backup_in_use when one was protected since the plan was made; lineage_broken, lease_lost
 */
export async function expireBackups(
  ds: DataSource,
  lease: ChainLease,
  ids: readonly string[],
): Promise<void> {
  if (ids.length === 0) return;
  await fencedChange(ds, lease, async (tx) => {
    await markExpired(tx, lease.chainId, ids);
    await advanceHead(tx, lease.chainId);
  });
}

/**
 * The row of a backup whose file was switched says what the file is; the chain is nobody's merge any more.
 * @throws wrong_state, lineage_broken, lease_lost
 */
export async function commitSwitch(ds: DataSource, lease: ChainLease, layer: SwitchedLayer): Promise<void> {
  await fencedChange(ds, lease, async (tx) => {
    await switchLayer(tx, lease.chainId, layer);
    await advanceHead(tx, lease.chainId);
  });
}

/** Notes that the files of expired backups are gone. @throws lineage_broken, lease_lost */
export async function noteFilesRemoved(
  ds: DataSource,
  lease: ChainLease,
  ids: readonly string[],
): Promise<void> {
  if (ids.length === 0) return;
  await fencedChange(ds, lease, async (tx) => {
    await markFilesRemoved(tx, lease.chainId, ids);
    await advanceHead(tx, lease.chainId);
  });
}
