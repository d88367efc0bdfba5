import { completeWithResult } from '../../db/job/settle.js';
import { recordEvents } from '../../db/job/events.js';
import { fencedChange } from '../../db/job/fenced.js';
import { noteDeep } from '../../db/chain/cadence.js';
import type { ValidateParams } from '../../entities/index.js';
import { StrataError } from '../../shared/errors.js';
import { openPlace } from '../job/openPlace.js';
import type { Under } from '../job/under.js';
import type { Outcome } from '../deps.js';
import { loadCatalogue } from './catalogue.js';
import { collectFacts } from './collect.js';
import { addProofs } from './deep/addProofs.js';
import { type DeepRead, readLayers } from './deep/readLayers.js';
import type { ChainFacts } from './facts.js';
import { judge, type ValidationReport } from './judge.js';
import { writeHealth } from './writeHealth.js';

/**
 * Checks a chain and writes what it found: the report to the job, health to backups and chain. A chain with problems
 * completes the job too, as the check has done its work; `result.healthy` tells. No image is changed.
 * A deep validation also reads every file and compares it with its digest index. Where a backup waits for the chain, and
 * after an hour, it writes what it knows, yields the chain and goes on in its next turn.
 * @throws repository_unavailable when the repository is not there or cannot be listed; then nothing is marked
 * @throws chain_wanted to yield the chain
 * @throws repository_marker_foreign, lease_lost, database_unavailable, tool_missing, tool_timeout
 */
export async function runValidation(
  under: Under,
): Promise<Outcome & { result: ValidationReport; validation: ValidationSummary }> {
  const { deps, held, io, report } = under;
  const place = await openPlace(under, 'maintenance');
  const { job } = place;
  // The worker gives a job to the service of its type.
  const { level, unread_only: unreadOnly } = job.params as ValidateParams;
  const catalogue = await loadCatalogue(deps.ds, place);
  const everyPoint = level === 'deep' && !unreadOnly;
  const { fence } = held.lease;
  const facts = await collectFacts({ catalogue, fence, signal: io.signal, report, everyPoint });
  // What its own earlier turns have read is not read again.
  const staleBefore = unreadOnly ? NEVER : job.createdAt;
  const read =
    level === 'deep' ? await readLayers({ ...under, place, chain: facts, staleBefore }) : undefined;
  const chain = await addProofs({ ds: deps.ds, signal: io.signal, chain: facts, reads: read?.reads });
  const result = { ...judge(chain, level), ...(read ? { read: whatWasRead(read) } : {}) };
  if (read?.ended !== undefined) await yieldTurn(under, chain, result);
  const next = await completeWithResult(deps.ds, held.lease, { ...result }, async (tx) => {
    await writeHealth(tx, chain, result);
    if (everyPoint) await noteDeep(tx, job.chainId, job.createdAt);
    if (!result.healthy) await recordEvents(tx, [{ type: 'validation.unhealthy', subjectId: job.id }]);
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

function whatWasRead({ reads, bytesRead, ended }: DeepRead): NonNullable<ValidationReport['read']> {
  const files = [...reads.values()].filter(({ state }) => state === 'read' || state === 'rebuilt').length;
  return { files, bytes: bytesRead, complete: ended === undefined };
}

/** The chain is given to whoever waits; what has been found counts already. */
async function yieldTurn({ deps, held }: Under, chain: ChainFacts, result: ValidationReport): Promise<never> {
  await fencedChange(deps.ds, held.lease, (tx) => writeHealth(tx, chain, result));
  throw new StrataError(
    'chain_wanted',
    'Another job waits for the chain; the rest is read in the next turn.',
  );
}
