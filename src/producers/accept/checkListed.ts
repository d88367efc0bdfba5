import { StrataError } from '../../shared/errors.js';
import type { BackupBody, BackupDiskBody } from './bodies.js';
import type { AcceptDeps } from './deps.js';
import { checkSource, checkVirtualSize } from './source.js';

/** Checks the disks of a request as far as the catalogue need not be asked. */
export function checkListed(
  deps: AcceptDeps,
  disks: readonly BackupDiskBody[],
  type: BackupBody['backup_type'],
): void {
  const seen = new Set<number>();
  disks.forEach((disk, index) => {
    const field = `disks[${index}]`;
    if (seen.has(disk.disk_id)) {
      throw new StrataError('invalid_request', `disk_id ${disk.disk_id} is listed twice.`, {
        field: `${field}.disk_id`,
      });
    }
    seen.add(disk.disk_id);
    if (disk.source) checkSource(disk.source, deps.settings, `${field}.source`);
    for (const name of ['change_id', 'since_change_id'] as const) {
      checkChangeId(disk[name], `${field}.${name}`);
    }
    if (disk.virtual_size !== undefined) checkVirtualSize(disk.virtual_size, `${field}.virtual_size`);
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
