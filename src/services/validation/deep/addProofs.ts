import { join } from 'node:path';
import { byId, knownDamage, type Layer, lineageOf, NO_REACH, type Reach } from '../../chain/index.js';
import { contentId, extentOf, readDigestIndex } from '../../../datapath/index.js';
import type { DataSource } from '../../../db/database.js';
import { readProofs } from '../../../db/chain/layerProofs.js';
import type { LayerProof } from '../../../entities/index.js';
import type { Extent } from '../../../shared/extents.js';
import { isStrataError } from '../../../shared/errors.js';
import { sidecarsOf } from '../../repository/layout.js';
import { digestsBelong } from '../collectSidecars.js';
import type { BackupFacts, ChainFacts, ReadFact } from '../facts.js';
import { reachOfDamage, withinRanges } from './reach.js';

export interface AddProofs {
  ds: DataSource;
  signal: AbortSignal;
  chain: ChainFacts;
  /** What a deep validation has just done; undefined in a quick check. */
  reads: ReadonlyMap<string, ReadFact> | undefined;
}

/**
 * Adds to the facts what deep validations have found of the content, and what of it reaches which restore point: by the
 * indexes as they are now, because backups may have come since.
 * @throws database_unavailable, the signal's reason
 */
export async function addProofs({ ds, signal, chain, reads }: AddProofs): Promise<ChainFacts> {
  const chainId = chain.backups[0]?.row.chainId;
  if (chainId === undefined) return chain;
  const proofs = await readProofs(ds, chainId);
  const sound = new Set(
    chain.backups.flatMap(({ row, digests }) =>
      digestsBelong(row, digests) || reads?.get(row.id)?.state === 'rebuilt' ? [row.id] : [],
    ),
  );
  const indexOf = (row: Layer) => join(chain.root, sidecarsOf(row.path).digests);
  const reaches = await reachOfDamage(
    chain.backups.map(({ row }) => row),
    (row) => knownDamage(proofs.get(row.id)),
    async (row, ranges) => (sound.has(row.id) ? provided(row, indexOf(row), ranges) : undefined),
  );
  const rows = byId(chain.backups.map(({ row }) => row));
  const backups: BackupFacts[] = [];
  for (const facts of chain.backups) {
    const { row } = facts;
    const reach = reaches.get(row.id) ?? NO_REACH;
    const settled =
      reads !== undefined && (await isSettled({ row, rows, proofs, sound, reach, indexOf, signal }));
    const provedAt = proofs.get(row.id)?.provedAt ?? null;
    const proof = { provedAt, damage: knownDamage(proofs.get(row.id)), reach, settled };
    const read = reads?.get(row.id);
    backups.push({ ...facts, ...asRebuilt(row, read), proof, ...(read ? { read } : {}) });
  }
  return { ...chain, backups };
}

/** The index that stands there now is the one that was built anew. */
function asRebuilt(row: Layer, read: ReadFact | undefined): Partial<BackupFacts> {
  if (read?.state !== 'rebuilt') return {};
  return { digests: { state: 'read', value: { backupId: row.id, virtualSize: row.virtualSize } } };
}

async function provided(row: Layer, index: string, ranges: readonly Extent[]): Promise<Extent[] | undefined> {
  try {
    return await withinRanges(extentsOf(index, row.virtualSize), ranges);
  } catch (error) {
    if (isStrataError(error, 'digest_index_invalid', 'file_missing')) return undefined;
    throw error;
  }
}

async function* extentsOf(index: string, virtualSize: number): AsyncGenerator<Extent, void, undefined> {
  for await (const { first, count } of readDigestIndex(index))
    yield extentOf({ first, end: first + count }, virtualSize);
}

interface Settling {
  row: Layer;
  rows: ReadonlyMap<string, Layer>;
  proofs: ReadonlyMap<string, LayerProof>;
  sound: ReadonlySet<string>;
  reach: Reach;
  indexOf: (row: Layer) => string;
  signal: AbortSignal;
}

/**
 * A restore has once read other content than was backed up. Every file that it read has been read since: either that has
 * shown where, or the indexes still give the recorded content, and the files hold what the indexes say.
 */
async function isSettled({ row, rows, proofs, sound, reach, indexOf, signal }: Settling): Promise<boolean> {
  const wrongAt = row.contentWrongAt;
  if (wrongAt === null) return false;
  const { layers, broken } = lineageOf(rows, row.id);
  const readSince = layers.every(
    ({ id }) => sound.has(id) && (proofs.get(id)?.provedAt?.getTime() ?? 0) >= wrongAt.getTime(),
  );
  if (broken !== undefined || !readSince) return false;
  if (reach.wrong.length + reach.unproved.length > 0) return true;
  const id = await contentId({ layers: layers.map(indexOf), virtualSizeBytes: row.virtualSize, signal });
  return id === row.contentId;
}
