import { getMaintenanceJob } from '../../db/job/maintenance.js';
import { completeWithResult } from '../../db/job/settle.js';
import { recordEvents } from '../../db/job/events.js';
import { fencedChange } from '../../db/job/fenced.js';
import { noteDeep } from '../../db/chain/cadence.js';
import type { MaintenanceJob, ValidateParams } from '../../entities/index.js';
import { StrataError } from '../../shared/errors.js';
import type { HeldLease } from '../job/holdLease.js';
import type { Outcome, ReportProgress, ServiceDeps } from '../deps.js';
import { type ChainCatalogue, loadCatalogue } from './catalogue.js';
import { collectFacts } from './collect.js';
import { addProofs } from './deep/addProofs.js';
import { type DeepRead, readLayers } from './deep/readLayers.js';
import type { ChainFacts } from './facts.js';
import { judge, type ValidationReport } from './judge.js';
import { writeHealth } from './writeHealth.js';

type Deps = Pick<ServiceDeps, 'ds' | 'clock' | 'scratchDir'>;

/**
 * Checks a chain and writes what it found: the report to the job, health to backups and chain. A chain with problems
 * completes the job too, as the check has done its work; `result.healthy` tells. No image is changed.
 * A deep validation also reads every file and compares it with its digest index. Where a backup waits for the chain, and
 * after an hour, it writes what it knows, stands aside and goes on in its next turn.
 * @throws repository_unavailable when the repository is not there or cannot be listed; then nothing is marked
 * @throws chain_wanted to stand aside
 * @throws repository_marker_foreign, lease_lost, database_unavailable, tool_missing, tool_timeout
 */
export async function runValidation(
  deps: Deps,
  held: HeldLease,
  jobId: string,
  report: ReportProgress,
): Promise<Outcome & { result: ValidationReport; validation: ValidationSummary }> {
  const job = await loadJob(deps.ds, jobId);
  const catalogue = await loadCatalogue(deps.ds, job.chainId, job.repositoryId);
  const { level, unread_only: unreadOnly } = job.params;
  const { lease, signal } = held;
  const everyPoint = level === 'deep' && !unreadOnly;
  const facts = await collectFacts({ catalogue, fence: lease.fence, signal, report, everyPoint });
  const read = level === 'deep' ? await readDeep(deps, held, job, catalogue, facts, report) : undefined;
  const chain = await addProofs({ ds: deps.ds, signal: held.signal, chain: facts, reads: read?.reads });
  const result = { ...judge(chain, level), ...(read ? { read: whatWasRead(read) } : {}) };
  if (read?.ended !== undefined) await standAside(deps, held, chain, result);
  const next = await completeWithResult(deps.ds, held.lease, { ...result }, async (tx) => {
    await writeHealth(tx, chain, result);
    if (level === 'deep' && !job.params.unread_only) await noteDeep(tx, job.chainId, job.createdAt);
    if (!result.healthy) await recordEvents(tx, [{ type: 'validation.unhealthy', subjectId: jobId }]);
  });
  return { next, result, validation: summarise(chain, result) };
}

/** What the logs and the metrics tell of a validation. */
export interface ValidationSummary {
  level: ValidationReport['level'];
  healthy: boolean;
  /** Bytes that were read and compared. */
  provedBytes: number;
  /** Backups that were not known to be damaged. */
  newlyDamaged: number;
}

function summarise(
  { backups }: ChainFacts,
  { level, healthy, read, ...report }: ValidationReport,
): ValidationSummary {
  const known = new Set(backups.flatMap(({ row }) => (row.health === 'damaged' ? [row.id] : [])));
  const found = report.backups.filter(
    ({ backup_id, health }) => health === 'damaged' && !known.has(backup_id),
  );
  return { level, healthy, provedBytes: read?.bytes ?? 0, newlyDamaged: found.length };
}

/** Whatever was read was read later. */
const NEVER = new Date(0);

interface ValidateJob extends Pick<MaintenanceJob, 'chainId' | 'repositoryId' | 'createdAt'> {
  params: ValidateParams;
}

async function loadJob(ds: Deps['ds'], jobId: string): Promise<ValidateJob> {
  const job = await getMaintenanceJob(ds, jobId);
  const { chainId, repositoryId, createdAt } = job;
  // The worker gives a job to the service of its type.
  return { chainId, repositoryId, createdAt, params: job.params as ValidateParams };
}

function readDeep(
  deps: Deps,
  held: HeldLease,
  { createdAt, params }: ValidateJob,
  { repository }: ChainCatalogue,
  chain: ChainFacts,
  report: ReportProgress,
): Promise<DeepRead> {
  return readLayers({
    deps,
    held,
    repository,
    chain,
    report,
    // What its own earlier turns have read is not read again.
    staleBefore: params.unread_only ? NEVER : createdAt,
  });
}

function whatWasRead({ reads, bytesRead, ended }: DeepRead): NonNullable<ValidationReport['read']> {
  const files = [...reads.values()].filter(({ state }) => state === 'read' || state === 'rebuilt').length;
  return { files, bytes: bytesRead, complete: ended === undefined };
}

/** The chain is given to whoever waits; what has been found counts already. */
async function standAside(
  { ds }: Deps,
  { lease }: HeldLease,
  chain: ChainFacts,
  result: ValidationReport,
): Promise<never> {
  await fencedChange(ds, lease, (tx) => writeHealth(tx, chain, result));
  throw new StrataError(
    'chain_wanted',
    'Another job waits for the chain; the rest is read in the next turn.',
  );
}
