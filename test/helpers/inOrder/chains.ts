import { JOB_KINDS } from '../../../src/shared/jobs.js';
import { JOB_TABLES } from '../../../src/db/job/kinds.js';
import { BackupChain, BackupJob } from '../../../src/entities/index.js';
import type { TestFleet } from '../fleet.js';

interface JobRow {
  id: string;
  chain_id: string;
  seq: string;
  status: string;
  fence: string | null;
  reads_only: number;
}

/** Leases that somebody still holds, though nothing is being worked on. */
export async function leaseProblems(fleet: TestFleet): Promise<string[]> {
  const chains = await fleet.suite.ds.query<{ id: string; lease_owner: string; lease_job_id: string }[]>(
    `SELECT id, lease_owner, lease_job_id FROM backup_chains
     WHERE lease_owner IS NOT NULL OR lease_job_id IS NOT NULL OR lease_until IS NOT NULL`,
  );
  return chains.map((chain) => `${chain.lease_owner} holds ${chain.id} for ${chain.lease_job_id}`);
}

/** Where jobs did not run in the accepted order, or backups do not form one line from full to full. */
export async function chainProblems(fleet: TestFleet, accepted: readonly string[]): Promise<string[]> {
  const { ds } = fleet.suite;
  // Jobs that only read may pass those that cannot run (decision 0021), and be passed by backups.
  const reads = { backup: '0', maintenance: `type = 'validate'`, restore: '1' };
  const parts = JOB_KINDS.map(
    (kind) =>
      `SELECT id, chain_id, seq, status, fence, ${reads[kind]} AS reads_only FROM ${JOB_TABLES[kind]}`,
  );
  const jobs = await ds.query<JobRow[]>(`SELECT * FROM (${parts.join(' UNION ALL ')}) jobs ORDER BY seq`);
  const backups = await ds
    .getRepository(BackupJob)
    .find({ where: { status: 'completed' }, order: { seq: 'ASC' } });
  const ranks = new Map(accepted.map((id, rank) => [id, rank]));
  const problems: string[] = [];
  for (const chain of await ds.getRepository(BackupChain).find()) {
    const own = jobs.filter((job) => job.chain_id === chain.id);
    const say = (problem: string) => problems.push(`chain ${chain.id}: ${problem}`);
    checkOrder(
      own.filter(({ reads_only }) => Number(reads_only) === 0),
      ranks,
      say,
    );
    const committed = Math.max(
      0,
      ...own.filter(({ status }) => status === 'completed').map(({ fence }) => Number(fence)),
    );
    // Anything above would be a commit that belongs to no completed job: a zombie's.
    if (chain.committed !== committed)
      say(`committed fence ${chain.committed}, of completed jobs ${committed}`);
    checkLine(
      chain,
      backups.filter(({ chainId }) => chainId === chain.id),
      say,
    );
  }
  return problems;
}

function checkOrder(
  jobs: readonly JobRow[],
  ranks: ReadonlyMap<string, number>,
  say: (problem: string) => void,
): void {
  let rank = -1;
  let fence = 0;
  for (const job of jobs) {
    const own = ranks.get(job.id);
    if (own !== undefined && own < rank) say(`${job.id} has a later place than it was accepted in`);
    rank = own ?? rank;
    if (job.fence === null) continue;
    if (Number(job.fence) <= fence)
      say(`${job.id} ran with fence ${job.fence}, the job before it with ${fence}`);
    fence = Number(job.fence);
  }
}

function checkLine(chain: BackupChain, backups: readonly BackupJob[], say: (problem: string) => void): void {
  let latest: BackupJob | undefined;
  let full: BackupJob | undefined;
  for (const backup of backups) {
    const parent =
      backup.backupType === 'full' ? undefined : backup.backupType === 'differential' ? full : latest;
    if (backup.parentBackupId !== (parent?.id ?? null)) {
      say(`${backup.id} (${backup.backupType}) stands on ${backup.parentBackupId}, not on ${parent?.id}`);
    }
    if (latest && nameOf(backup) <= nameOf(latest)) say(`${nameOf(backup)} sorts before ${nameOf(latest)}`);
    if (backup.backupType === 'full') full = backup;
    latest = backup;
  }
  if (chain.latestBackupId !== (latest?.id ?? null))
    say(`latest is ${chain.latestBackupId}, not ${latest?.id}`);
  if (chain.fullBackupId !== (full?.id ?? null)) say(`full is ${chain.fullBackupId}, not ${full?.id}`);
  if (chain.totalBackups !== backups.length) say(`counts ${chain.totalBackups} backups of ${backups.length}`);
}

/** The type's word comes behind the seconds, which decide. */
function nameOf({ repositoryPath }: BackupJob): string {
  return repositoryPath ?? '';
}
