import { fenceOfPartial } from '../repository/layout.js';
import type { Action, DirectoryFacts, ManifestFact, PlanClock, ReasonCode, UnknownFile } from './facts.js';

/** An image with its sidecars, as far as they are there, or any other single file. The image comes first: without it the rest is no backup. */
export interface Group {
  files: UnknownFile[];
  image: UnknownFile | undefined;
  manifest: ManifestFact;
}

export interface Verdict {
  action: Action['action'];
  reason: ReasonCode;
  backupId: string | null;
  /** Nobody has said that the backup is not wanted: the verdict holds only where `qemu-img` cannot restore the image. */
  isGuess?: boolean;
}

const SUFFIX = /\.(qcow2|digests|json)$/;

/** Puts the files of one backup together, in the order of their names. */
export function groupFiles(files: readonly UnknownFile[]): Group[] {
  const byStem = new Map<string, UnknownFile[]>();
  for (const file of [...files].sort((a, b) => rankOf(a).localeCompare(rankOf(b)))) {
    const stem = fenceOfPartial(file.name) === undefined ? file.name.replace(SUFFIX, '') : file.name;
    byStem.set(stem, [...(byStem.get(stem) ?? []), file]);
  }
  return [...byStem.values()].map((group) => ({
    files: group,
    image: group.find(({ name, regular }) => regular && name.endsWith('.qcow2')),
    manifest: group.find(({ name }) => name.endsWith('.json'))?.manifest ?? { state: 'none' },
  }));
}

function rankOf({ name }: UnknownFile): string {
  return name.replace(/\.qcow2$/, '.0');
}

/** Decides what becomes of a group, whatever stands on it. Pure. @param needed images that a backup which could be taken in stands on */
export function judgeGroup(
  facts: DirectoryFacts,
  group: Group,
  needed: ReadonlySet<string>,
  clock: PlanClock,
): Verdict {
  const verdict =
    judgePartial(facts, group) ?? judgeManifest(facts, group, needed) ?? judgeUnknown(facts, group, needed);
  const keep = verdict.action === 'quarantine' ? whyNotTouched(facts, group, clock) : undefined;
  return keep === undefined ? verdict : { ...verdict, action: 'leave', reason: keep };
}

/** What forbids that files are moved, whatever they are. */
function whyNotTouched(
  { chain }: DirectoryFacts,
  { files }: Group,
  clock: PlanClock,
): ReasonCode | undefined {
  if (!chain) return 'no_chain';
  if (chain.busy) return 'chain_busy';
  if (files.some(({ regular }) => !regular)) return 'not_a_regular_file';
  if (files.some(({ mtimeMs }) => clock.nowMs - mtimeMs < clock.graceMs)) return 'young';
  return undefined;
}

function judgePartial({ chain }: DirectoryFacts, { files }: Group): Verdict | undefined {
  const fence = fenceOfPartial(files[0]?.name ?? '');
  if (fence === undefined) return undefined;
  // Fences only grow: whoever wrote under a smaller one has lost the lease and cannot publish.
  const dead = chain !== undefined && fence < chain.fence;
  return dead
    ? { action: 'quarantine', reason: 'dead_partial', backupId: null }
    : { action: 'leave', reason: chain ? 'live_partial' : 'no_chain', backupId: null };
}

function judgeManifest(
  facts: DirectoryFacts,
  { manifest, image }: Group,
  needed: ReadonlySet<string>,
): Verdict | undefined {
  if (manifest.state !== 'valid') return undefined;
  const of = (action: Verdict['action'], reason: ReasonCode, isGuess = false): Verdict => ({
    action,
    reason,
    backupId: manifest.manifest.backup_id,
    isGuess,
  });
  if (!manifest.belongs) {
    if (!image && manifest.speaksOfOther) return of('leave', 'manifest_of_other');
    return of('quarantine', 'manifest_foreign', true);
  }
  switch (manifest.row) {
    case 'unknown':
      if (manifest.manifest.expired_at !== undefined && !(image && needed.has(image.name)))
        return of('quarantine', 'expired_leftover');
      return image ? of('adopt', 'unknown_backup') : of('quarantine', 'manifest_without_image');
    case 'queued':
    case 'released':
    case 'running':
      return image ? of('finish', 'of_open_job') : of('leave', 'of_open_job');
    case 'failed':
    case 'cancelled':
      // An older catalogue may call a job ended that had gone on: its own journal knows what it has published.
      return of('quarantine', 'of_ended_job', manifest.journalled !== true);
    case 'expired':
      return of('leave', 'expired');
    case 'completed':
      if (!hasItsImage(facts, manifest.manifest.backup_id)) return of('leave', 'only_copy');
      return manifest.differs ? of('quarantine', 'id_of_known', true) : of('quarantine', 'copy_of_known');
  }
}

/** A backup of another chain counts as one that has its image: what lies here is not it. */
function hasItsImage({ backups }: DirectoryFacts, backupId: string): boolean {
  return backups.find(({ id }) => id === backupId)?.image !== 'missing';
}

function judgeUnknown(facts: DirectoryFacts, group: Group, needed: ReadonlySet<string>): Verdict {
  const names = group.files.map(({ name }) => name);
  if (names.some((name) => facts.openNames.includes(name)))
    return { action: 'leave', reason: 'of_open_job', backupId: null };
  if (names.some((name) => needed.has(name))) return { action: 'leave', reason: 'needed', backupId: null };
  const reason = group.manifest.state === 'invalid' ? 'manifest_invalid' : 'unknown_file';
  return { action: 'quarantine', reason, backupId: null, isGuess: true };
}
