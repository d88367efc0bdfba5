import { type JobStatus } from '../../../../src/shared/jobs.js';
import type {
  BackupFact,
  DirectoryFacts,
  ManifestFact,
  UnknownFile,
} from '../../../../src/services/reconcile/facts.js';
import { planReconcile } from '../../../../src/services/reconcile/index.js';
import type { Manifest } from '../../../../src/services/repository/manifest.js';
import { aLayer } from '../../../helpers/layer.js';

export const DIRECTORY = 'vm/disk-0';
export const NOW = Date.parse('2026-06-01T12:00:00Z');
export const GRACE = 3_600_000;
const OLD = NOW - GRACE;

/** A chain in order: `b1` to `b<count>`, one upon the other, nothing unknown; the smallest fence that may live is 9. */
export function facts(count: number, over: Partial<DirectoryFacts> = {}): DirectoryFacts {
  const backups = Array.from({ length: count }, (_, i): BackupFact => {
    const id = `b${i + 1}`;
    const path = `${DIRECTORY}/${id}.qcow2`;
    return { ...aLayer(id, { parentId: i === 0 ? null : `b${i}`, path }), image: 'present' };
  });
  const chain = { id: 'c', busy: false, fence: 9 };
  return {
    directory: DIRECTORY,
    exists: true,
    chain,
    backups,
    unknown: [],
    openNames: [],
    images: [],
    quarantined: [],
    ...over,
  };
}

/** The same facts, with some backups changed by their number (from 1). */
export function withBackups(
  base: DirectoryFacts,
  changes: Record<number, Partial<BackupFact>>,
): DirectoryFacts {
  return { ...base, backups: base.backups.map((backup, i) => ({ ...backup, ...changes[i + 1] })) };
}

/** An unknown file that is just old enough. */
export function file(name: string, over: Partial<UnknownFile> = {}): UnknownFile {
  return { name, regular: true, bytes: 4096, mtimeMs: OLD, manifest: { state: 'none' }, ...over };
}

/** `<stem>.json` with a manifest of a backup that the catalogue knows as `row`. */
export function manifest(
  stem: string,
  row: JobStatus | 'unknown',
  over: { belongs?: boolean; backup_id?: string; parent_file?: string | null } = {},
): UnknownFile {
  const content = {
    backup_id: over.backup_id ?? `bkp_${stem}`,
    parent_file: over.parent_file ?? null,
    file: `${stem}.qcow2`,
  };
  const fact: ManifestFact = {
    state: 'valid',
    manifest: content as Manifest,
    belongs: over.belongs ?? true,
    row,
  };
  return file(`${stem}.json`, { manifest: fact });
}

/** All three files of a backup. */
export function whole(
  stem: string,
  ...rest: Parameters<typeof manifest> extends [string, ...infer R] ? R : never
) {
  return [file(`${stem}.qcow2`), file(`${stem}.digests`), manifest(stem, ...rest)];
}

/** The plan as lines: action, reason, and the file's name, or the backup where rows are meant. */
export function lines(directory: DirectoryFacts): string[] {
  return planReconcile([directory], { nowMs: NOW, graceMs: GRACE }).map(
    ({ action, reason, file: path, backup_id }) =>
      `${action} ${reason} ${path.slice(DIRECTORY.length + 1)}${backup_id === null ? '' : ` (${backup_id})`}`,
  );
}
