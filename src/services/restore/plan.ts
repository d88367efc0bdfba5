import type { JobStatus } from '../../shared/jobs.js';
import { join } from 'node:path';
import type { DamageReach, RestoreFormat } from '../../entities/index.js';
import { StrataError } from '../../shared/errors.js';
import { countingFor, type HealthFacts, MOST_RANGES } from '../chain/index.js';
import type { TargetFacts } from './target.js';
import { totalLength } from '../../shared/extents.js';
import type { KnownDamage, KnownRange } from '../../shared/knownDamage.js';
import { nameRanges } from '../../shared/ranges.js';

/** What a restore asks of a layer. */
export type RestorableLayer = HealthFacts & { id: string };

/** A backup that somebody wants back, and what it stands on. */
export interface RestorableFacts {
  id: string;
  status: JobStatus;
  /** The backup first, then its parents down to the full. */
  layers: readonly RestorableLayer[];
  /** Why the catalogue does not lead to a full; undefined where it does. */
  broken: string | undefined;
  /** What deep validations know of the ranges that a restore would have wrong. */
  reach: DamageReach | null;
}

/** How somebody wants a backup back. */
export interface RestoreWish {
  /** The restored content will be read back. */
  verify: boolean;
  /** As far as it can be read. */
  allowDamaged: boolean;
}

/**
 * Refuses what must not be restored. Pure; also for the moment at which a restore is asked for. A `suspect` backup may
 * be sound (one read that failed makes it so), and a restore that verifies proves it by its content id.
 * @throws invalid_request for `allowDamaged` without `verify`; wrong_state when the backup is not completed
 * @throws backup_damaged when the catalogue does not lead to a full; when it, or a backup below it, is `damaged` and the
 *   wish does not allow that; or `suspect`, or once read wrong, and nothing would prove the content. `details.damage` is
 *   what is known of the bad ranges
 */
export function checkRestorable(backup: RestorableFacts, { verify, allowDamaged }: RestoreWish): void {
  if (allowDamaged && !verify) {
    throw new StrataError(
      'invalid_request',
      'What is wrong with a damaged backup is told by reading it back.',
      {
        field: 'verify',
      },
    );
  }
  if (backup.status !== 'completed') {
    throw new StrataError(
      'wrong_state',
      `Backup ${backup.id} is ${backup.status}; only a completed one can be restored.`,
      {
        field: 'backup_id',
      },
    );
  }
  if (backup.broken !== undefined) {
    throw new StrataError('backup_damaged', `Backup ${backup.id} cannot be restored: ${backup.broken}.`, {
      field: 'backup_id',
    });
  }
  if (allowDamaged) return;
  const counting = countingFor(backup.layers);
  const damaged = counting.find(({ health }) => health === 'damaged');
  const bad = damaged ?? (verify ? undefined : unproved(backup.layers, counting));
  if (bad) throw refusalOf(backup, counting, bad);
}

/** Names the backup that is bad, and what is known of the ranges that a restore would have wrong. */
function refusalOf(
  { id, layers, reach }: RestorableFacts,
  counting: readonly RestorableLayer[],
  bad: RestorableLayer,
): StrataError {
  const damaged = counting.some(({ health }) => health === 'damaged');
  const next = damaged
    ? 'validate its chain for the findings, or restore what can be read of it with allow_damaged'
    : 'it can be restored with verify, or once a validation of its chain has cleared it';
  const how = damaged || bad.health === 'suspect' ? `is ${bad.health}` : 'was once read with wrong content';
  const which = bad.id === id ? how : `stands on ${bad.id}, which ${how}`;
  const located =
    counting.every(({ health, damageLocated }) => health === 'ok' || damageLocated) &&
    !layers.some(({ contentWrongAt }) => contentWrongAt);
  const damage = tellReach(reach, located);
  return new StrataError(
    'backup_damaged',
    `Backup ${id} ${which}: ${describeReach(reach, damage)}; ${next}.`,
    { field: 'backup_id', details: { backup_id: bad.id, health: bad.health, damage } },
  );
}

/** What nobody can say to hold its content; a located damage below says nothing of the file as a whole. */
function unproved(
  layers: readonly RestorableLayer[],
  counting: readonly RestorableLayer[],
): RestorableLayer | undefined {
  return (
    counting.find(({ health }) => health === 'suspect') ?? layers.find(({ contentWrongAt }) => contentWrongAt)
  );
}

export type RestorePlan =
  /** `directory` is private to the attempt; the image in it has its final name, which a VMDK's descriptor repeats. */
  | {
      kind: 'file';
      directory: string;
      temporary: string;
      final: string;
      parent: string;
      format: RestoreFormat;
    }
  | { kind: 'device'; path: string; format: 'raw' };

/** Characters of the target's name in the temporary one: for people only, and far from the 255 bytes of a file name. */
const NAME_CHARACTERS = 40;

/**
 * Decides where a restore writes. Pure.
 * @throws file_exists when the target is anything but a block device
 * @throws invalid_request for a format other than raw on a block device
 */
export function planRestore(options: {
  jobId: string;
  fence: number;
  format: RestoreFormat;
  target: TargetFacts;
}): RestorePlan {
  const { target, format } = options;
  if (target.kind === 'device') {
    if (format === 'raw') return { kind: 'device', path: target.path, format };
    throw new StrataError('invalid_request', `A block device takes the format raw, not ${format}.`, {
      field: 'format',
    });
  }
  if (target.kind === 'taken') {
    throw new StrataError('file_exists', `${target.path} exists already.`, { field: 'target.path' });
  }
  const { parent, name } = target;
  const directory = join(parent, partialName(name, options.jobId, options.fence));
  return { kind: 'file', directory, temporary: join(directory, name), final: target.path, parent, format };
}

/** `.<name>.<job id>.<fence>.partial`: a directory that nobody but the holder of that fence writes to (invariant 12). */
export function partialName(name: string, jobId: string, fence: number): string {
  return `.${name.slice(0, NAME_CHARACTERS)}.${jobId}.${fence}.partial`;
}

/** The temporary directory of an attempt, by its name. */
export interface Partial {
  name: string;
  jobId: string;
  fence: number;
}

/** Those of the names that attempts of restores have left or are writing to. Pure. */
export function partialsIn(names: readonly string[]): Partial[] {
  return names.flatMap((name) => {
    const [, jobId, fence] = /^\..*\.(rst_[0-9a-z]+)\.(\d+)\.partial$/s.exec(name) ?? [];
    return jobId === undefined ? [] : [{ name, jobId, fence: Number(fence) }];
  });
}

/**
 * Those that attempts of the job have left, up to that of the fence: an attempt that was frozen and wakes must not touch
 * the directory of the one that took over. Pure.
 */
export function partialsOf(jobId: string, fence: number, names: readonly string[]): string[] {
  return partialsIn(names)
    .filter((partial) => partial.jobId === jobId && partial.fence <= fence)
    .map(({ name }) => name);
}

/** Ranges that a refusal lists; a validation's report has all. */
const MOST_TOLD = 10;

/**
 * What a refusal tells of the ranges that a restore would have wrong. Pure.
 * @param located all that is wrong with the backup, and with what counts of what it stands on, is so by ranges
 */
export function tellReach(reach: DamageReach | null, located: boolean): KnownDamage {
  const ranges = rangesOf(reach);
  const allStored = [reach?.wrong, reach?.unproved].every((list = []) => list.length < MOST_RANGES);
  return {
    located: located && ranges.length > 0 && allStored,
    count: ranges.length,
    bytes: totalLength(ranges),
    ranges: ranges.slice(0, MOST_TOLD),
  };
}

/** The same in words, for those who see only the message. */
export function describeReach(reach: DamageReach | null, { located, count }: KnownDamage): string {
  if (count === 0) return 'no deep validation has told in which ranges';
  const named = nameRanges(rangesOf(reach));
  return `a restore of it is not right in ${named}${located ? '' : ', and perhaps elsewhere'}`;
}

function rangesOf(reach: DamageReach | null): KnownRange[] {
  const list = (of: DamageReach['wrong'] = [], unreadable: boolean) =>
    of.map(([offset, length, inBackup]) => ({ offset, length, in_backup: inBackup, unreadable }));
  return [...list(reach?.wrong, false), ...list(reach?.unproved, true)].sort((a, b) => a.offset - b.offset);
}
