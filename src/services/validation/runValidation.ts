import { completeWithResult } from '../../db/jobs/settle.js';
import { asDatabaseError } from '../../db/transaction.js';
import { type Health, MaintenanceJob } from '../../entities/index.js';
import { StrataError } from '../../shared/errors.js';
import type { HeldLease } from '../chain/holdLease.js';
import type { Outcome, ReportProgress, ServiceDeps } from '../deps.js';
import { loadCatalogue } from './catalogue.js';
import { collectFacts } from './collect.js';
import { judge, type ValidationReport } from './judge.js';

type Also = NonNullable<Parameters<typeof completeWithResult>[3]>;
type Transaction = Parameters<Also>[0];

/** Ids in one statement; keeps it far below the server's packet limit. */
const IDS_AT_ONCE = 500;

/**
 * Checks a chain at the level `quick` and writes what it found: the report to the job, health to backups and chain.
 * A chain with problems completes the job too, as the check has done its work; `result.healthy` tells. No file is changed.
 * @throws repository_unavailable when the repository is not there or cannot be listed; then nothing is marked
 * @throws repository_marker_foreign, lease_lost, database_unavailable, tool_missing, tool_timeout
 */
export async function runValidation(
  deps: Pick<ServiceDeps, 'ds'>,
  held: HeldLease,
  jobId: string,
  report: ReportProgress,
): Promise<Outcome & { result: ValidationReport }> {
  const { chainId, repositoryId } = await loadJob(deps.ds, jobId);
  const catalogue = await loadCatalogue(deps.ds, chainId, repositoryId);
  const facts = await collectFacts({ catalogue, fence: held.lease.fence, signal: held.signal, report });
  const result = judge(facts);
  const next = await completeWithResult(deps.ds, held.lease, { ...result }, (tx) =>
    writeHealth(tx, chainId, result),
  );
  return { next, result };
}

async function loadJob(ds: ServiceDeps['ds'], jobId: string): Promise<MaintenanceJob> {
  try {
    const job = await ds.getRepository(MaintenanceJob).findOneBy({ id: jobId });
    if (job) return job;
    throw new StrataError('not_found', `There is no maintenance job ${jobId}.`);
  } catch (error) {
    throw asDatabaseError(error);
  }
}

async function writeHealth(tx: Transaction, chainId: string, report: ValidationReport): Promise<void> {
  for (const health of ['ok', 'suspect', 'damaged'] satisfies Health[]) {
    const ids = report.backups.filter((backup) => backup.health === health).map(({ backup_id }) => backup_id);
    for (let from = 0; from < ids.length; from += IDS_AT_ONCE) {
      const some = ids.slice(from, from + IDS_AT_ONCE);
      await tx.query(
        `UPDATE backup_jobs SET health = ? WHERE chain_id = ? AND status = 'completed'
           AND id IN (${some.map(() => '?').join(', ')})`,
        [health, chainId, ...some],
      );
    }
  }
  await tx.query('UPDATE backup_chains SET health = ?, last_validated_at = UTC_TIMESTAMP(3) WHERE id = ?', [
    report.chain_health,
    chainId,
  ]);
}
