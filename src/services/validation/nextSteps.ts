import type { FindingCode } from './findings.js';

const COPY_OR_FULL = 'Put it back from a copy and validate again, or take a full.';
const SIDECAR =
  'A deep validation rebuilds it if the image has the recorded content. Or put it back from a copy.';
const MANIFEST =
  'The backup restores. The next comparison (`strata repo reconcile`, or the keeper by itself) writes the manifest again from the catalogue; until then a catalogue rebuilt from the repository may lack the backup.';
const REBASED =
  'If someone ran `qemu-img rebase -u`, set the name in the message back in the same way. Otherwise put it back from a copy, or take a full.';

/** What an operator does next about a finding; docs/validation.md says the same. */
export const NEXT_STEPS: Record<FindingCode, string> = {
  file_missing:
    'Put it back from a copy and validate again. Otherwise the backups above are lost: take a full.',
  file_truncated: `${COPY_OR_FULL} Look for what writes to the repository.`,
  file_swapped: 'Rename the files back and validate again.',
  file_grown: 'Find out who wrote to it. Put it back from a copy, or take a full.',
  file_touched:
    'Nothing after copying a repository without times. Otherwise find out who touched it, and validate deep.',
  unreadable: "Look at the message, the kernel's log and the mount. Validate again.",
  image_corrupt: `${COPY_OR_FULL} Do not repair it in place: \`qemu-img check -r\` makes it consistent, not right.`,
  image_leaks: 'Nothing.',
  image_size_differs: COPY_OR_FULL,
  header_changed:
    'Nothing that a restore reads is wrong. Put the file back from a copy, or let a full or a synthetic full take its place. Look at the disk below.',
  backing_wrong: REBASED,
  backing_missing: REBASED,
  backing_unexpected: REBASED,
  backing_format_wrong: `${REBASED} With \`-F qcow2\`.`,
  backing_loop: 'As `backing_wrong`, which goes with it.',
  backing_absolute: '`qemu-img rebase -u` to the plain name; validate again.',
  backing_format_missing: '`qemu-img rebase -u -F qcow2`; validate again.',
  lineage_broken: 'The catalogue was changed by hand. Rebuild it from the repository.',
  unreachable: 'See the finding of the backup above; this one is sound by itself.',
  data_damaged:
    'The next backup puts back what the source still holds, or takes a full. Or put the file back from a copy and validate deep. Look at the disk below.',
  data_unreadable:
    'The next backup puts back what the source still holds, or takes a full. Or put the file back from a copy and validate deep. Look at the disk below.',
  data_below_damaged: 'See the finding of the file below.',
  data_below_unreadable: 'Look at the disk below; validate deep again, or take a full.',
  content_unproved: COPY_OR_FULL,
  content_wrong: 'Validate deep: it tells where, or that the reading was at fault.',
  not_read: 'See the other findings of this backup; validate deep again when they are gone.',
  manifest_missing: MANIFEST,
  manifest_invalid: MANIFEST,
  manifest_mismatch: `${MANIFEST} With two of them, they were swapped.`,
  digests_missing: SIDECAR,
  digests_invalid: SIDECAR,
  digests_mismatch: `${SIDECAR} With two of them, they were swapped.`,
  digests_rebuilt: 'Nothing. What stood in its place is in quarantine.',
  sidecar_unreadable: "Look at the message, the kernel's log and the mount. Validate again.",
  content_id_mismatch:
    'The catalogue or an index is of another time. A restore with `verify` fails with `content_mismatch`; look at the content with plain `qemu-img convert`, and take a full.',
  directory_missing: 'Put it back from a copy. Each backup has its own finding.',
  unknown_file:
    'Find out whose it is. The next comparison (`strata repo reconcile`, or the keeper by itself) moves it to quarantine once it is an hour old, and after `STRATA_QUARANTINE_DAYS` (30) it is removed there. An image that `qemu-img` restores, or on which another stands, stays, whatever its age: `strata repo rebuild` says whether it can be taken in.',
  stale_partial: 'Nothing uses it; it may be removed.',
};
