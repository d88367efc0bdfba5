import { basename } from 'node:path';
import type { Manifest } from '../repository/manifest.js';
import { sidecarsOf } from '../repository/layout.js';
import type { BackupFacts, BackupRow, ChainFacts } from './facts.js';
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
  const parent = chain.backups.find((other) => other.row.id === row.parentBackupId)?.row;
  return [
    ...judgeManifest(facts.manifest, expectedFields(row, parent), about(files.manifest)),
    ...judgeDigests(facts, about(files.digests)),
  ];
}

type Expected = Partial<Manifest>;

/** What the manifest has to say, by the catalogue. The parent's file is not compared where its row is missing. */
export function expectedFields(row: BackupRow, parent: BackupRow | undefined): Expected {
  return {
    repository_id: row.repositoryId,
    vm_context_id: row.vmContextId,
    disk_id: row.diskId,
    chain_id: row.chainId,
    seq: row.seq,
    backup_id: row.id,
    restore_point_id: row.restorePointId,
    requested_type: row.requestedType,
    ...(row.backupType === null ? {} : { backup_type: row.backupType }),
    parent_backup_id: row.parentBackupId,
    ...(row.parentBackupId !== null && !parent ? {} : { parent_file: parent ? basename(parent.path) : null }),
    change_id: row.changeId,
    file: basename(row.path),
    virtual_size: row.virtualSize,
    size_bytes: row.sizeBytes,
    content_id: row.contentId,
  };
}

function judgeManifest(manifest: BackupFacts['manifest'], expected: Expected, say: Say): Finding[] {
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
