import { StrataError } from '../../shared/errors.js';
import type { BackupBody, BackupDiskBody } from './bodies.js';
import type { AcceptDeps } from './deps.js';
import { checkDisks } from './source.js';

/** Checks the disks of a request as far as the catalogue need not be asked. */
export function checkListed(
  deps: AcceptDeps,
  disks: readonly BackupDiskBody[],
  type: BackupBody['backup_type'],
): void {
  checkDisks(deps, disks);
  disks.forEach((disk, index) => {
    const field = `disks[${index}]`;
    for (const name of ['change_id', 'since_change_id'] as const) {
      checkChangeId(disk[name], `${field}.${name}`);
    }
    if (disk.extents_follow && (disk.changed_extents || type === 'full')) {
      throw new StrataError(
        'invalid_request',
        'A change list follows where the request has none, and a full needs none.',
        { field: `${field}.extents_follow` },
      );
    }
  });
}

/** Any text is a change id, but half a character has no UTF-8: two of them would be stored as one. */
export function checkChangeId(changeId: string | undefined, field: string): void {
  if (changeId !== undefined && /\p{Cs}/u.test(changeId)) {
    throw new StrataError('invalid_request', 'A change id is well-formed Unicode text.', { field });
  }
}
