import type { JobKind } from '../../shared/jobs.js';
import type { DataSource, EntityManager } from 'typeorm';
import type { ClaimMode } from '../../entities/index.js';
import { asking, inTransaction } from '../transaction.js';
import type { ChainLease } from './lease.js';

/** Storage that a job wants to read or write: its names (storageIds) and the kernel that they are valid on. */
export interface WantedStorage {
  kernel: string;
  storage: readonly string[];
  mode: ClaimMode;
}

/** The job that is in the way. */
export interface Claimant {
  jobId: string;
  kind: JobKind;
  mode: ClaimMode;
}

interface ClaimRow {
  kernel: string;
  storage: string;
  job_id: string;
  kind: JobKind;
  mode: ClaimMode;
  chain_id: string;
  fence: string;
}

/**
 * Notes that the holder of a lease reads or writes storage, unless another job writes it, or reads what this one wants to
 * write. Nobody has to give a claim back: one counts only as long as its job holds its chain under the same fence, by
 * fence and holder and not by a clock. Called again it takes more.
 * @returns who is in the way; then nothing is noted
 */
export async function claimStorage(
  ds: DataSource,
  lease: ChainLease,
  wanted: WantedStorage,
): Promise<Claimant | undefined> {
  await forgetTheDead(ds);
  return inTransaction(ds, async (tx) => {
    await insertClaims(tx, lease, wanted);
    // Of two that insert at a time at least one waits here for the other's rows, and then sees them: it reads by locking.
    const rows = await tx.query<ClaimRow[]>(
      `SELECT * FROM resource_claims WHERE kernel = ? AND storage IN (?) AND job_id <> ? FOR UPDATE`,
      [wanted.kernel, wanted.storage, lease.jobId],
    );
    const inTheWay = rows.filter(({ mode }) => mode === 'write' || wanted.mode === 'write');
    const [live] = await liveOf(tx, inTheWay);
    if (live === undefined) return undefined;
    await tx.query(
      'DELETE FROM resource_claims WHERE job_id = ? AND fence = ? AND kernel = ? AND storage IN (?)',
      [lease.jobId, lease.fence, wanted.kernel, wanted.storage],
    );
    return { jobId: live.job_id, kind: live.kind, mode: live.mode };
  });
}

async function insertClaims(
  tx: EntityManager,
  { jobId, kind, chainId, fence }: ChainLease,
  { kernel, storage, mode }: WantedStorage,
): Promise<void> {
  // An earlier attempt of the job has perhaps left the same row. One that stood still and wakes now must not put its fence,
  // which counts for nothing any more, in the place of a later one's. The fence is assigned last: MySQL goes from left to right.
  await tx.query(
    `INSERT INTO resource_claims (kernel, storage, job_id, kind, mode, chain_id, fence, claimed_at)
     VALUES ${storage.map(() => '(?, ?, ?, ?, ?, ?, ?, UTC_TIMESTAMP(3))').join(', ')}
     ON DUPLICATE KEY UPDATE mode = IF(VALUES(fence) >= fence, VALUES(mode), mode),
       claimed_at = IF(VALUES(fence) >= fence, VALUES(claimed_at), claimed_at), fence = GREATEST(fence, VALUES(fence))`,
    storage.flatMap((name) => [kernel, name, jobId, kind, mode, chainId, fence]),
  );
}

/** Those whose job still has its chain. */
async function liveOf(db: Pick<EntityManager, 'query'>, rows: readonly ClaimRow[]): Promise<ClaimRow[]> {
  if (rows.length === 0) return [];
  const chains = await db.query<{ id: string; fence: string; lease_job_id: string | null }[]>(
    'SELECT id, fence, lease_job_id FROM backup_chains WHERE id IN (?)',
    [[...new Set(rows.map(({ chain_id }) => chain_id))]],
  );
  const holders = new Map(chains.map(({ id, fence, lease_job_id }) => [id, `${fence} ${lease_job_id}`]));
  return rows.filter(({ chain_id, fence, job_id }) => holders.get(chain_id) === `${fence} ${job_id}`);
}

/** Of all hosts: one that is gone for good, or was booted again, has nobody else to tidy up after it. */
async function forgetTheDead(ds: DataSource): Promise<void> {
  const rows = await asking(() => ds.query<ClaimRow[]>('SELECT * FROM resource_claims'));
  const live = new Set(await asking(() => liveOf(ds, rows)));
  for (const { kernel, storage, job_id, fence } of rows.filter((row) => !live.has(row))) {
    await asking(() =>
      ds.query('DELETE FROM resource_claims WHERE kernel = ? AND storage = ? AND job_id = ? AND fence = ?', [
        kernel,
        storage,
        job_id,
        fence,
      ]),
    );
  }
}
