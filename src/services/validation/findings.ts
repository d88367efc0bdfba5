import type { Health } from '../../entities/index.js';

export interface FindingKind {
  /** An error makes the report unhealthy; a warning does not. */
  severity: 'error' | 'warning';
  /** What it says about the image file of the backup that it names; sidecars do not decide what a restore reads. */
  verdict: Health;
  /** It says which ranges: those that stand on the backup are judged by what of these reaches them. */
  located?: true;
}

const damaged: FindingKind = { severity: 'error', verdict: 'damaged' };
const suspect: FindingKind = { severity: 'error', verdict: 'suspect' };
const untrusted: FindingKind = { severity: 'error', verdict: 'ok' };
const warning: FindingKind = { severity: 'warning', verdict: 'ok' };
const damagedRanges: FindingKind = { ...damaged, located: true };
const suspectRanges: FindingKind = { ...suspect, located: true };

/**
 * Every code of a finding. Codes are never renamed: scripts match on them. docs/validation.md says for each what the
 * operator does next.
 */
export const FINDINGS = {
  // The image file
  file_missing: damaged,
  file_truncated: damaged,
  file_swapped: damaged,
  file_grown: suspect,
  file_touched: warning,
  unreadable: suspect,
  image_corrupt: damaged,
  image_leaks: warning,
  image_size_differs: damaged,
  header_changed: untrusted,
  // What it stands on
  backing_wrong: damaged,
  backing_missing: damaged,
  backing_unexpected: damaged,
  backing_format_wrong: damaged,
  backing_loop: damaged,
  backing_absolute: suspect,
  backing_format_missing: suspect,
  lineage_broken: suspect,
  unreachable: warning,
  // Its content
  data_damaged: damagedRanges,
  data_unreadable: suspectRanges,
  data_below_damaged: damagedRanges,
  data_below_unreadable: suspectRanges,
  content_unproved: damaged,
  content_wrong: untrusted,
  not_read: warning,
  // Its sidecars
  manifest_missing: untrusted,
  manifest_invalid: untrusted,
  manifest_mismatch: untrusted,
  digests_missing: untrusted,
  digests_invalid: untrusted,
  digests_mismatch: untrusted,
  digests_rebuilt: warning,
  sidecar_unreadable: untrusted,
  content_id_mismatch: suspect,
  // The directory
  directory_missing: untrusted,
  unknown_file: warning,
  stale_partial: warning,
} satisfies Record<string, FindingKind>;

export type FindingCode = keyof typeof FINDINGS;

export interface Finding {
  severity: FindingKind['severity'];
  code: FindingCode;
  backup_id?: string;
  /** Relative to the repository's root. */
  file?: string;
  message: string;
}

/** A finding about a backup or a file. */
export function finding(
  code: FindingCode,
  about: { backupId?: string; file?: string },
  message: string,
): Finding {
  return {
    severity: FINDINGS[code].severity,
    code,
    ...(about.backupId === undefined ? {} : { backup_id: about.backupId }),
    ...(about.file === undefined ? {} : { file: about.file }),
    message,
  };
}
