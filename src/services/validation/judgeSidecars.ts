import { type Manifest, recordedFields } from '../repository/manifest.js';
import { sidecarsOf } from '../repository/layout.js';
import type { BackupFacts, ChainFacts } from './facts.js';
import { type Finding, finding, type FindingCode } from './findings.js';

type Say = (code: FindingCode, message: string) => Finding;

/** Findings on a backup's manifest, digest index and content id. Pure. */
export function judgeSidecars(facts: BackupFacts, chain: ChainFacts): Finding[] {
  const { row } = facts;
  if (row.expired) return [];
  const files = sidecarsOf(row.path);
  const about =
    (file: string): Say =>
    (code, message) =>
      finding(code, { backupId: row.id, file }, message);
  const parent = chain.backups.find((other) => other.row.id === row.parentId)?.row;
  return [
    ...judgeManifest(facts.manifest, recordedFields(row, parent), about(files.manifest)),
    ...judgeDigests(facts, about(files.digests)),
  ];
}

function judgeManifest(manifest: BackupFacts['manifest'], expected: Partial<Manifest>, say: Say): Finding[] {
  switch (manifest.state) {
    case 'missing':
      return [
        say('manifest_missing', 'The manifest is gone: the catalogue could not be rebuilt with this backup.'),
      ];
    case 'invalid':
      return [say('manifest_invalid', manifest.reason)];
    case 'unreadable':
      return [say('sidecar_unreadable', manifest.reason)];
    case 'read': {
      const wrong = Object.entries(expected).filter(
        ([key, value]) => manifest.value[key as keyof Manifest] !== value,
      );
      if (wrong.length === 0) return [];
      const list = wrong.map(
        ([key, value]) =>
          `${key} is ${JSON.stringify(manifest.value[key as keyof Manifest])}, not ${JSON.stringify(value)}`,
      );
      return [say('manifest_mismatch', `The manifest differs from the catalogue: ${list.join('; ')}.`)];
    }
  }
}

function judgeDigests({ row, digests, content }: BackupFacts, say: Say): Finding[] {
  switch (digests.state) {
    case 'missing':
      return [say('digests_missing', 'The digest index is gone: the content cannot be proved by it.')];
    case 'invalid':
      return [say('digests_invalid', digests.reason)];
    case 'unreadable':
      return [say('sidecar_unreadable', digests.reason)];
    case 'read': {
      const { backupId, virtualSize } = digests.value;
      if (backupId !== row.id || virtualSize !== row.virtualSize) {
        const message = `The digest index is that of ${backupId} with ${virtualSize} bytes, not of ${row.id} with ${row.virtualSize}.`;
        return [say('digests_mismatch', message)];
      }
      if (content.state === 'impossible') return [say('digests_invalid', content.reason)];
      if (content.state === 'skipped' || content.id === row.contentId) return [];
      const message = `The digest indexes give the content id ${content.id}; the catalogue has ${row.contentId}.`;
      return [say('content_id_mismatch', message)];
    }
  }
}
