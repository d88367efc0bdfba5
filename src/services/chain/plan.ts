import type {
  BackupRequest,
  BackupType,
  OnBrokenChain,
  RequestedType,
  Tracker,
} from '../../entities/index.js';
import { StrataError } from '../../shared/errors.js';
import { changesKnownBy } from '../../shared/sources.js';

/** A completed backup that could be built upon. */
export interface ParentFacts {
  id: string;
  health: 'ok' | 'suspect' | 'damaged';
  changeId: string | null;
  virtualSize: number;
  /** How often the disk had been seen with another size when its bytes were read; null where that is not known. */
  sizeChanges: number | null;
}

/** What a plan is made from: the request, and the catalogue as it is under the lease. */
export interface PlanInput {
  requestedType: RequestedType;
  onBrokenChain: OnBrokenChain;
  /** Who tells what has changed, or writes it (`push`); `none` means that the disk is compared. */
  tracker: Tracker | 'push' | 'none';
  /** The tracker was caught lying not long ago: the disk is compared instead. */
  trackerDistrusted: boolean;
  /** The source does not offer the dirty bitmap that the request names. */
  bitmapMissing: boolean;
  sinceChangeId: string | null;
  /** Size of the disk now, in bytes. */
  virtualSize: number;
  /** How often it has been seen with another size; null where that is not known. */
  sizeChanges: number | null;
  /** Full of the current segment, and the latest backup: null until one has completed. */
  segmentFull: ParentFacts | null;
  latest: ParentFacts | null;
  /** True when `latest`, or any backup below it in the segment, is damaged; or suspect, now that it was looked at again. */
  damagedBelow: boolean;
  suspectBelow: boolean;
  /** True when `latest` stands on a backup that is not there. */
  lineageBroken: boolean;
  /** Layers from `latest` down to its full. */
  depth: number;
  /** When `auto` takes a full of its own accord; undefined: never. */
  fullEvery: number | undefined;
  fullAfterDays: number | undefined;
  /** Backups completed since the last full, and its age at the instant of the data, in ms; null without a full. */
  backupsSinceFull: number;
  fullAgeMs: number | null;
}

const DAY_MS = 86_400_000;
/** A weekly schedule does not begin at the same millisecond each time: a full that is due within the hour is due. */
const DUE_EARLY_MS = 3_600_000;

/** Every QEMU tool opens every file of a chain; merging keeps chains far shorter than this last resort. */
const LONGEST_CHAIN = 250;

export const DEMOTED_REASONS = [
  'no_completed_full',
  'parent_damaged',
  'parent_suspect',
  'parent_unreadable',
  'parent_in_use',
  'disk_shrunk',
  'chain_too_long',
  'change_id_mismatch',
  'change_id_missing',
  'scheduled_full',
  'tracker_distrusted',
  'tracker_lied',
  'disk_restored',
  'bitmap_missing',
  'disk_resized',
] as const;
export type DemotedReason = (typeof DEMOTED_REASONS)[number];
/** Why a tracker's word was not taken: the increment stays one, and the whole disk is compared. */
export type ComparedReason =
  | 'tracker_distrusted'
  | 'tracker_lied'
  | 'disk_restored'
  | 'bitmap_missing'
  | 'disk_resized';
/** A lock is met in the middle of the work only. */
type RefusedReason = Exclude<DemotedReason, ComparedReason | 'scheduled_full' | 'parent_in_use'>;

export type BackupPlan =
  | { type: 'full'; mode: 'full'; parent: null; demotedReason: DemotedReason | null }
  | {
      type: Exclude<BackupType, 'full'>;
      /** `changes`: copy what the tracker names. `compare`: read the disk and copy what differs by digest. */
      mode: 'changes' | 'compare';
      parent: ParentFacts;
      demotedReason: ComparedReason | null;
    };

/**
 * Decides what a backup becomes. Pure.
 * @throws chain_broken or change_id_mismatch where the request forbids a full in place of an increment; bitmap_missing
 *   where it forbids to do without the bitmap
 */
export function planBackup(input: PlanInput): BackupPlan {
  if (input.requestedType === 'full')
    return { type: 'full', mode: 'full', parent: null, demotedReason: null };
  const type = input.requestedType === 'differential' ? 'differential' : 'incremental';
  const parent = type === 'differential' ? input.segmentFull : input.latest;
  if (isFullDue(input)) return { type: 'full', mode: 'full', parent: null, demotedReason: 'scheduled_full' };
  if (input.lineageBroken) return demote(input, 'parent_unreadable');
  if (parent === null) return demote(input, 'no_completed_full');
  if (type === 'incremental' && input.depth >= LONGEST_CHAIN) return demote(input, 'chain_too_long');
  const below = type === 'incremental' ? input : { damagedBelow: false, suspectBelow: false };
  if (parent.health === 'damaged' || below.damagedBelow) return demote(input, 'parent_damaged');
  if (parent.health === 'suspect' || below.suspectBelow) return demote(input, 'parent_suspect');
  if (input.virtualSize < parent.virtualSize) return demote(input, 'disk_shrunk');
  if (input.tracker === 'none') return { type, mode: 'compare', parent, demotedReason: null };
  // A change list belongs to one parent (invariant 4): applied to any other it would be silently incomplete.
  if (input.sinceChangeId === null) return demote(input, 'change_id_missing');
  if (input.sinceChangeId !== parent.changeId) return demote(input, 'change_id_mismatch');
  const changes: BackupPlan = { type, mode: 'changes', parent, demotedReason: null };
  if (input.tracker === 'push') return changes;
  if (input.tracker === 'bitmap' && input.bitmapMissing) return withoutBitmap(changes, input.onBrokenChain);
  if (isResized(input, parent)) return comparedInstead(changes, 'disk_resized');
  if (input.trackerDistrusted) return comparedInstead(changes, 'tracker_distrusted');
  return changes;
}

/**
 * True when the disk has had another size since the parent, also where it has the same one again. What a shrink took and a
 * grow brought back as zeros is in no bitmap of QEMU's (7.2), and VMware's lists have been wrong after a grow.
 */
function isResized({ virtualSize, sizeChanges }: PlanInput, parent: ParentFacts): boolean {
  // A parent of which nothing is recorded (a rebuilt catalogue, an older release) may be older than any change that was seen.
  return (
    virtualSize !== parent.virtualSize || (sizeChanges !== null && sizeChanges !== (parent.sizeChanges ?? 0))
  );
}

/**
 * The plan where the bitmap is not to be had: the whole disk is compared.
 * @throws bitmap_missing where the request says that a broken chain of changes is to fail
 */
export function withoutBitmap(plan: BackupPlan, onBrokenChain: OnBrokenChain): BackupPlan {
  if (plan.mode === 'changes' && onBrokenChain === 'fail') {
    throw new StrataError(
      'bitmap_missing',
      'The source does not offer the dirty bitmap, and on_broken_chain is "fail".',
      { field: 'source.bitmap', details: { reason: 'bitmap_missing' } },
    );
  }
  return comparedInstead(plan, 'bitmap_missing');
}

/** The plan that takes the place of one whose tracker is not to be believed: the same increment, by comparing the whole disk. */
export function comparedInstead(plan: BackupPlan, reason: ComparedReason): BackupPlan {
  return plan.type === 'full' ? plan : { ...plan, mode: 'compare', demotedReason: reason };
}

/** Who tells what has changed, as the request says. */
export function trackerOf({
  has_extents: hasExtents,
  source,
}: Pick<BackupRequest, 'has_extents' | 'source'>): PlanInput['tracker'] {
  const known = changesKnownBy(source);
  return known !== 'push' && hasExtents ? 'extents' : known;
}

/** True when `auto` has to take a full because of those before it: every n-th backup, or after n days. */
function isFullDue(input: PlanInput): boolean {
  if (input.requestedType !== 'auto' || input.segmentFull === null) return false;
  const { fullEvery, fullAfterDays, backupsSinceFull, fullAgeMs } = input;
  // The full is the first of the n.
  if (fullEvery !== undefined && backupsSinceFull + 1 >= fullEvery) return true;
  return (
    fullAfterDays !== undefined && fullAgeMs !== null && fullAgeMs >= fullAfterDays * DAY_MS - DUE_EARLY_MS
  );
}

function demote(input: PlanInput, reason: RefusedReason): BackupPlan {
  // `auto` leaves the choice to Strata: a first full is then no demotion.
  if (input.requestedType === 'auto' && reason === 'no_completed_full') {
    return { type: 'full', mode: 'full', parent: null, demotedReason: null };
  }
  if (input.onBrokenChain === 'fail') {
    const code =
      reason === 'change_id_mismatch' || reason === 'change_id_missing'
        ? 'change_id_mismatch'
        : 'chain_broken';
    throw new StrataError(code, REFUSALS[reason], { details: { reason } });
  }
  return { type: 'full', mode: 'full', parent: null, demotedReason: reason };
}

const REFUSALS: Record<RefusedReason, string> = {
  no_completed_full: 'The chain has no completed full backup, and on_broken_chain is "fail".',
  parent_damaged: 'The chain is damaged, and on_broken_chain is "fail".',
  parent_suspect:
    'A file that the increment would stand on cannot be read or trusted, and on_broken_chain is "fail".',
  parent_unreadable: 'The latest backup or its digest index cannot be read, and on_broken_chain is "fail".',
  chain_too_long: `The chain has ${LONGEST_CHAIN} layers, and on_broken_chain is "fail".`,
  disk_shrunk: 'The disk has become smaller, which needs a full, and on_broken_chain is "fail".',
  change_id_mismatch:
    'since_change_id is not the change id of the chain\'s latest backup, and on_broken_chain is "fail".',
  change_id_missing: 'The change list does not say since which change id, and on_broken_chain is "fail".',
};
