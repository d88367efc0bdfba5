import type { BackupCreate, BackupDiskCreate } from '../../contract/index.js';
import { StrataError } from '../../shared/errors.js';
import type { AcceptDeps } from './deps.js';
import { checkDisks } from './diskSource.js';

/** Checks the disks of a request as far as the catalogue need not be asked. */
export function checkListed(
  deps: AcceptDeps,
  disks: readonly BackupDiskCreate[],
  type: BackupCreate['backup_type'],
): void {
  checkDisks(deps, disks);
  disks.forEach((disk, index) => {
    const field = `disks[${index}]`;
    for (const name of ['change_id', 'since_change_id'] as const) {
      checkChangeId(disk[name], `${field}.${name}`);
    }
    checkTracker(disk, type, field);
  });
}

/**
 * One word on what has changed, and only where it is heard: whoever sends another believes that it does something. Facts that
 * come with a full are taken: an upstream may always say what has changed, and a full copies everything whatever it says.
 */
function checkTracker(disk: BackupDiskCreate, type: BackupCreate['backup_type'], field: string): void {
  const refuse = (name: string, message: string) => {
    throw new StrataError('invalid_request', message, { field: `${field}.${name}` });
  };
  if (disk.extents_follow && (disk.changed_extents || type === 'full'))
    refuse('extents_follow', 'A change list follows where the request has none, and a full needs none.');
  const listed = disk.extents_follow || disk.changed_extents;
  if (listed && disk.source?.type === 'nbd' && disk.source.bitmap !== undefined)
    refuse(
      'source.bitmap',
      'The change list is what counts: the bitmap would do nothing. Leave one of the two out.',
    );
}

/** Any text is a change id, but half a character has no UTF-8: two of them would be stored as one. */
export function checkChangeId(changeId: string | undefined, field: string): void {
  if (changeId !== undefined && /\p{Cs}/u.test(changeId)) {
    throw new StrataError('invalid_request', 'A change id is well-formed Unicode text.', { field });
  }
}
