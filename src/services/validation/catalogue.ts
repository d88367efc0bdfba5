import type { DataSource } from '../../db/database.js';
import { rowsBesideLayers } from '../../db/chain/layers.js';
import { carrying, type Layer, loadLayers } from '../chain/index.js';
import type { Place } from '../job/openPlace.js';
import type { ChainFacts } from './facts.js';

/** What the catalogue says of a chain. */
export interface ChainCatalogue {
  chainId: string;
  repository: { id: string; rootPath: string };
  directory: string;
  /** Completed backups, and the expired ones that they stand on; oldest first. */
  backups: Layer[];
  otherRows: ChainFacts['otherRows'];
}

/**
 * Reads a chain with its backups. Under the chain's lease nothing of it changes meanwhile.
 * @throws database_unavailable
 */
export async function loadCatalogue(
  ds: DataSource,
  { chainId, root, directory, repository }: Place,
): Promise<ChainCatalogue> {
  const layers = await loadLayers(ds, chainId);
  const backups = carrying(layers);
  const known = new Set(backups.map(({ id }) => id));
  // An expired backup on which no restore point stands is to be removed, whatever is wrong with it.
  const idle = layers.flatMap(({ id, path }) =>
    known.has(id) ? [] : [{ id, status: 'expired' as const, path }],
  );
  return {
    chainId,
    repository: { id: repository.id, rootPath: root },
    directory,
    backups,
    otherRows: [...idle, ...(await rowsBesideLayers(ds, chainId))],
  };
}
