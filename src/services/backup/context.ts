import { basename } from 'node:path';
import { pathsOfChain } from '../../db/chain/layers.js';
import type { DataSource } from '../../db/database.js';
import { type BackupRows, rowsOfBackup } from '../../db/chain/backups.js';
import {
  type BackupPlan,
  type DiskFacts,
  type Footing,
  footingOf,
  loadLayers,
  planNext,
} from '../chain/index.js';
import type { OpenPlace } from '../job/openPlace.js';

/** All that the catalogue says about a job, read under the lease. */
export interface BackupContext extends OpenPlace<'backup'>, BackupRows, Footing {
  /** Names of files that backups of the chain have or had: none is given twice, even where its file is gone (decision 14). */
  takenNames: string[];
}

/** Reads the chain as it is now. @throws database_unavailable */
export async function loadContext(ds: DataSource, place: OpenPlace<'backup'>): Promise<BackupContext> {
  const rows = await rowsOfBackup(ds, place.job);
  const layers = await loadLayers(ds, place.chainId);
  const paths = await pathsOfChain(ds, place.chainId);
  const takenNames = paths.map((path) => basename(path));
  return { ...place, ...rows, ...footingOf(layers, rows.chain), takenNames };
}

/** The plan of a job, by the catalogue as it is under the lease. @throws as planBackup */
export function planJob(context: BackupContext, disk: DiskFacts): BackupPlan {
  const { job, chain, restorePoint } = context;
  const { requestedType, request, sinceChangeId } = job;
  const next = { requestedType, request, sinceChangeId, createdAt: restorePoint.createdAt, chain };
  return planNext(next, context, disk);
}
