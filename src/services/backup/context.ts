import { basename } from 'node:path';
import { pathsOfChain } from '../../db/chain/layers.js';
import type { DataSource } from '../../db/database.js';
import { type BackupRows, rowsOfBackup } from '../../db/job/backupRows.js';
import {
  type BackupPlan,
  type DiskFacts,
  type Footing,
  footingOf,
  loadLayers,
  planNext,
} from '../chain/index.js';

/** All that the catalogue says about a job, read under the lease. */
export interface BackupContext extends BackupRows, Footing {
  /** Names of files that backups of the chain have or had: none is given twice, even where its file is gone (decision 14). */
  takenNames: string[];
}

/** Reads the job and the chain as they are now. @throws not_found, database_unavailable */
export async function loadContext(ds: DataSource, jobId: string): Promise<BackupContext> {
  const rows = await rowsOfBackup(ds, jobId);
  const layers = await loadLayers(ds, rows.chain.id);
  const paths = await pathsOfChain(ds, rows.chain.id);
  return { ...rows, ...footingOf(layers, rows.chain), takenNames: paths.map((path) => basename(path)) };
}

/** The plan of a job, by the catalogue as it is under the lease. @throws as planBackup */
export function planJob(context: BackupContext, disk: DiskFacts): BackupPlan {
  const { job, chain, restorePoint } = context;
  const { requestedType, request, sinceChangeId } = job;
  const next = { requestedType, request, sinceChangeId, createdAt: restorePoint.createdAt, chain };
  return planNext(next, context, disk);
}
