import { isDamagedAsWhole } from '../chain/index.js';
import { sidecarsOf } from '../repository/layout.js';
import type { Action, BackupFact, DirectoryFacts, ManifestState, ReasonCode } from './facts.js';

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
export function planManifests({ chain, backups }: DirectoryFacts): Action[] {
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
