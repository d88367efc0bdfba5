import { normalize } from 'node:path';
import { type DiskSource, SOURCE_FORMATS } from '../../entities/index.js';
import { checkNbdSource } from '../../services/backup/sourceRules.js';
import { refuseTooLarge } from '../../shared/diskSize.js';
import { StrataError } from '../../shared/errors.js';

/** The settings that decide on sources. */
export interface SourceRules {
  sourceRoots: readonly string[];
  nbdAllow: readonly string[];
}

/**
 * What can be said of a source without opening it: the API's host may not see the files. The worker looks at the real
 * path and into the image, and may still refuse.
 * @param field where the source stands in the request, such as `disks[0].source`
 */
export function checkSource(source: DiskSource, rules: SourceRules, field: string): void {
  switch (source.type) {
    case 'file':
      if (!SOURCE_FORMATS.includes(source.format)) {
        throw new StrataError('unknown_format', `The format is one of ${SOURCE_FORMATS.join(', ')}.`, {
          field: `${field}.format`,
        });
      }
      checkPathUnder(source.path, rules.sourceRoots, `${field}.path`, 'STRATA_SOURCE_ROOTS');
      return;
    case 'nbd':
      checkNbdSource(source.uri, rules.nbdAllow, `${field}.uri`);
      return;
    case 'push':
      return;
  }
}

/** Bytes, as on every Linux file system; room is left for the names of temporary files. */
const LONGEST_PATH = 3_500;
const LONGEST_NAME = 200;

/** Refuses a path that is relative, not normal, has a NUL byte, or lies outside of all roots. */
export function checkPathUnder(path: string, roots: readonly string[], field: string, setting: string): void {
  const normal = path.startsWith('/') && !path.includes('\0') && normalize(path) === path;
  const tooLong =
    Buffer.byteLength(path) > LONGEST_PATH ||
    path.split('/').some((part) => Buffer.byteLength(part) > LONGEST_NAME);
  if (!normal) {
    throw new StrataError('path_not_allowed', 'The path is absolute and has no "..", "." or double slash.', {
      field,
    });
  }
  if (tooLong) throw new StrataError('path_not_allowed', 'The path or a name in it is too long.', { field });
  if (!roots.some((root) => path === root || path.startsWith(root.endsWith('/') ? root : `${root}/`))) {
    throw new StrataError('path_not_allowed', `The path is not under one of ${setting}.`, { field });
  }
}

/** Disk sizes are multiples of 512 bytes: QCOW2 and every hypervisor count in sectors. @throws size_not_aligned, source_too_large */
export function checkVirtualSize(bytes: number, field: string): void {
  if (!Number.isSafeInteger(bytes) || bytes <= 0 || bytes % 512 !== 0) {
    throw new StrataError('size_not_aligned', `The size ${bytes} is not a positive multiple of 512 bytes.`, {
      field,
    });
  }
  refuseTooLarge(bytes, field);
}

/** What every list of disks says of one. */
interface ListedDisk {
  disk_id: number;
  source?: DiskSource;
  virtual_size?: number;
}

/** Checks what every list of disks has: each disk once, with a source and a size that may be. */
export function checkDisks(deps: { settings: SourceRules }, disks: readonly ListedDisk[]): void {
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
    if (disk.virtual_size !== undefined) checkVirtualSize(disk.virtual_size, `${field}.virtual_size`);
  });
}
