import { createHash } from 'node:crypto';
import type { DataSource } from '../../db/database.js';
import { getJob } from '../../db/job/getJob.js';
import { insertStep, readSteps } from '../../db/job/journal.js';
import { completeWithResult } from '../../db/job/settle.js';
import { getRepository } from '../../db/repository/repositories.js';
import type { RebuildParams } from '../../entities/index.js';
import type { Outcome } from '../deps.js';
import type { Under } from '../job/under.js';
import { type Problem, PROBLEMS } from './facts.js';
import { rebuildCatalogue, type RebuildReport, type RebuiltChain } from './rebuildCatalogue.js';

/** The `result` of a job. */
export interface RebuildResult {
  repository_id: string;
  dry_run: boolean;
  /** Backups that got a row by this job, in whichever of its attempts; that had one before it; that got none. */
  inserted: number;
  existing: number;
  refused: number;
  /** The first of them; the counts tell of all. */
  chains: RebuiltChain[];
  problems: (Problem & { message: string })[];
}

const MOST_LISTED = 1000;
/** Journal: rows that one transaction has written to one chain. */
const TAKEN_IN = 'taken_in:';

/**
 * Rebuilds the catalogue of a repository, under the lease of the repository's line (docs/decisions/0023-rebuild-is-a-job.md).
 *
 * Steps, and what a kill after each leaves:
 *  1. a VM's directory is listed, its manifests and images looked at    nothing
 *  2. the rows of a disk, with what the journal says of them: one       a chain as the files tell it, or none; the next attempt
 *     transaction under the chain's lock                                finds the rows and goes on behind them
 *  3. protections and `immutable_days` of the repository                the same; to take them over again changes nothing
 *  4. fenced commit: the result                                         all of it
 * A worker that has lost the lease and does not know writes nothing that the next attempt would not write: what a chain lacks is
 * seen under that chain's lock.
 * @throws repository_unavailable, repository_marker_foreign, lease_lost, database_unavailable
 */
export async function runRebuild({
  deps,
  held,
  io,
  report,
}: Under): Promise<Outcome & { result: RebuildResult }> {
  const { ds } = deps;
  const { lease } = held;
  // Its line is the repository's own: there is no disk whose place could be opened.
  const job = await getJob(ds, 'maintenance', lease.jobId);
  // The worker gives a job to the service of its type.
  const { dry_run: dryRun } = job.params as RebuildParams;
  const repository = await getRepository(ds, lease.repositoryId);
  const onProgress = (bytes: number) => report({ phase: 'rebuilding', bytes_done: bytes, bytes_total: null });
  onProgress(0);
  const found = await rebuildCatalogue({
    ds,
    repository,
    dryRun,
    signal: io.signal,
    job: {
      assertHeld: () => held.assertHeld(),
      note: (tx, chainId, inserted) =>
        insertStep(tx, lease, stepOf(chainId), 'done', { chain_id: chainId, inserted }),
      onProgress,
    },
  });
  const whole = withEarlier(found, await takenInBefore(ds, lease.jobId, lease.fence));
  const result = toResult({ repository_id: repository.id, dry_run: dryRun }, whole);
  return { next: await completeWithResult(ds, lease, { ...result }), result };
}

/** The ids of chains come from manifests, and may be longer than the name of a step. */
function stepOf(chainId: string): string {
  return `${TAKEN_IN}${createHash('sha256').update(chainId).digest('hex').slice(0, 20)}`;
}

/** Rows that attempts of the job before this one have written, by their chain. */
async function takenInBefore(ds: DataSource, jobId: string, fence: number): Promise<Map<string, number>> {
  const taken = new Map<string, number>();
  for (const { step, fence: of, data } of await readSteps(ds, jobId)) {
    if (!step.startsWith(TAKEN_IN) || of === fence) continue;
    const { chain_id: chainId, inserted } = data as { chain_id: string; inserted: number };
    taken.set(chainId, (taken.get(chainId) ?? 0) + inserted);
  }
  return taken;
}

/** What an earlier attempt has inserted has existed for this one, and was inserted by the job. Pure. */
export function withEarlier(report: RebuildReport, before: ReadonlyMap<string, number>): RebuildReport {
  const ofJob = ({ chain_id, existing }: RebuiltChain) => Math.min(before.get(chain_id) ?? 0, existing);
  const moved = report.chains.reduce((sum, chain) => sum + ofJob(chain), 0);
  return {
    ...report,
    inserted: report.inserted + moved,
    existing: report.existing - moved,
    chains: report.chains.map((chain) => {
      const own = ofJob(chain);
      return { ...chain, inserted: chain.inserted + own, existing: chain.existing - own };
    }),
  };
}

function toResult(
  about: Pick<RebuildResult, 'repository_id' | 'dry_run'>,
  { inserted, existing, chains, problems }: RebuildReport,
): RebuildResult {
  return {
    ...about,
    inserted,
    existing,
    refused: problems.filter(({ severity }) => severity === 'refused').length,
    chains: chains.slice(0, MOST_LISTED),
    problems: problems
      .slice(0, MOST_LISTED)
      .map((problem) => ({ ...problem, message: PROBLEMS[problem.reason] })),
  };
}
