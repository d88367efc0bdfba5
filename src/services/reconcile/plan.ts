import { join } from 'node:path';
import { isDamagedAsWhole } from '../chain/index.js';
import type { Action, BackupFact, DirectoryFacts, ManifestState, PlanClock, ReasonCode } from './facts.js';
import { type Group, groupFiles, judgeGroup } from './planFiles.js';
import { inOrder, keepStanding, planReturns } from './planStanding.js';
import { sidecarsOf } from '../repository/layout.js';

/** What is done to files and rows; the other actions only tell. */
const DONE: readonly Action['action'][] = [
  'quarantine',
  'bring_back',
  'write_manifest',
  'mark_damaged',
  'mark_suspect',
];

/** True for an action that changes something. */
export function changesSomething({ action }: Action): boolean {
  return DONE.includes(action);
}

/** Compares catalogue and files. Pure: the same facts give the same plan; a repository in order gives an empty one. */
export function planReconcile(directories: readonly DirectoryFacts[], clock: PlanClock): Action[] {
  return directories.flatMap((facts) => planDirectory(facts, clock));
}

/** The plan for one disk's directory. Pure. */
export function planDirectory(facts: DirectoryFacts, clock: PlanClock): Action[] {
  return [...planRows(facts), ...planManifests(facts), ...planFiles(facts, clock)];
}

/** Completed backups whose image is certainly gone, and those that stand on them. Health only gets worse here: a validation clears it. */
function planRows(facts: DirectoryFacts): Action[] {
  const { chain, backups, exists } = facts;
  if (!chain || backups.every(({ image }) => image === 'present')) return [];
  const about = (action: Action['action'], reason: ReasonCode, backup: BackupFact): Action => ({
    action,
    reason,
    chain_id: chain.id,
    backup_id: backup.id,
    file: backup.path,
  });
  const bad = new Set<string>();
  return backups.flatMap((backup) => {
    const missing = backup.image === 'missing';
    const standsOnBad = backup.parentId !== null && bad.has(backup.parentId);
    if (missing || standsOnBad) bad.add(backup.id);
    else return [];
    if (backup.expired) return [];
    if (chain.busy) return [about('leave', 'chain_busy', backup)];
    // Without the directory there is no proof that it is this backup, and not a mount or a link, that is gone.
    if (!exists) return backup.health === 'ok' ? [about('mark_suspect', 'directory_missing', backup)] : [];
    // Ranges of a file that is gone say nothing any more: all that stands on it has to feel it.
    const known = isDamagedAsWhole(backup);
    if (missing) return known ? [] : [about('mark_damaged', 'image_missing', backup)];
    return backup.health === 'ok' ? [about('mark_suspect', 'stands_on_missing', backup)] : [];
  });
}

function planFiles(facts: DirectoryFacts, clock: PlanClock): Action[] {
  const groups = groupFiles(facts.unknown);
  const needed = new Set(groups.flatMap((group) => parentFileOf(facts, group)));
  const judged = groups.map((group) => ({ group, verdict: judgeGroup(facts, group, needed, clock) }));
  const returns = planReturns(facts);
  const verdicts = keepStanding(facts, judged, returns);
  const actions = inOrder(facts, judged, verdicts).flatMap(({ group, verdict }) => {
    const { action, reason, backupId } = verdicts.get(group) ?? verdict;
    return group.files.map(({ name }) => ({
      action,
      reason,
      chain_id: facts.chain?.id ?? null,
      backup_id: backupId,
      file: join(facts.directory, name),
    }));
  });
  return [...actions, ...returns];
}

/** The parent of a backup that could be taken in must stay, whatever became of its own manifest. */
function parentFileOf(facts: DirectoryFacts, group: Group): string[] {
  const { manifest } = group;
  if (manifest.state !== 'valid' || manifest.row !== 'unknown' || !manifest.belongs || !group.image)
    return [];
  const name = manifest.manifest.parent_file;
  return name !== null && facts.unknown.some((file) => file.name === name) ? [name] : [];
}

const REASON_OF = {
  missing: 'manifest_lost',
  invalid: 'manifest_unusable',
  foreign: 'manifest_of_another',
  older: 'manifest_older',
} as const satisfies Partial<Record<ManifestState, ReasonCode>>;

/**
 * Manifests of catalogued backups that are lost, cut, foreign or older than their image are written anew: without them a
 * merge cannot begin, and a catalogue that is rebuilt lacks the backup. Pure.
 */
function planManifests({ chain, backups }: DirectoryFacts): Action[] {
  if (!chain || chain.busy) return [];
  const about = (action: Action['action'], reason: ReasonCode, { id, path }: BackupFact): Action => ({
    action,
    reason,
    chain_id: chain.id,
    backup_id: id,
    file: sidecarsOf(path).manifest,
  });
  return backups.flatMap((backup) => {
    const { manifest = 'sound', image } = backup;
    if (manifest === 'sound' || image === 'missing') return [];
    if (manifest === 'of_unknown') return [about('leave', 'manifest_of_other', backup)];
    // Today's length and header would become those that it was published with.
    if (isDamagedAsWhole(backup) || backup.standsAsRecorded === false) return [];
    return [about('write_manifest', REASON_OF[manifest], backup)];
  });
}
