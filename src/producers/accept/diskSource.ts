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
      checkPathUnder(source.path, sourcePaths(rules.sourceRoots), `${field}.path`);
      return;
    case 'nbd':
      checkNbdSource(source.uri, rules.nbdAllow, `${field}.uri`);
      return;
    case 'push':
      return;
  }
}

/** What a path may be, and below what. */
export interface PathRules {
  roots: readonly string[];
  /** What the path is for, the setting that allows it, and how somebody allows more. */
  what: string;
  setting: string;
  remedy: string;
  /** Bytes. */
  longestPath: number;
  longestName: number;
}

/** As long as Linux has them: PATH_MAX counts the NUL at the end, NAME_MAX does not. */
const sourcePaths = (roots: readonly string[]): PathRules => ({
  roots,
  what: 'a source',
  setting: 'STRATA_SOURCE_ROOTS',
  remedy: 'strata up --allow PATH, or that variable',
  longestPath: 4095,
  longestName: 255,
});

/** Room is left for the names of temporary files. */
export const targetPaths = (roots: readonly string[]): PathRules => ({
  roots,
  what: 'a restore',
  setting: 'STRATA_RESTORE_ROOTS',
  remedy: 'that variable, for all processes',
  longestPath: 3_500,
  longestName: 200,
});

/**
 * Refuses a path that is relative, not normal, has a NUL byte, is too long, or lies outside of all roots. The text alone is
 * looked at: a caller learns nothing of what exists.
 */
export function checkPathUnder(path: string, rules: PathRules, field: string): void {
  const refuse = (message: string): never => {
    throw new StrataError('path_not_allowed', message, { field });
  };
  const { roots, what, setting, remedy, longestPath, longestName } = rules;
  if (!path.startsWith('/') || path.includes('\0') || normalize(path) !== path) {
    refuse('The path is absolute and has no "..", "." or double slash.');
  }
  const bytes = Buffer.byteLength(path);
  if (bytes > longestPath) refuse(`The path has ${bytes} bytes; that of ${what} has ${longestPath} at most.`);
  const name = Math.max(...path.split('/').map((part) => Buffer.byteLength(part)));
  if (name > longestName) {
    refuse(`A name in the path has ${name} bytes; that of ${what} has ${longestName} at most.`);
  }
  if (roots.some((root) => path === root || path.startsWith(root.endsWith('/') ? root : `${root}/`))) return;
  const list = roots.length === 0 ? 'none' : roots.join(', ');
  refuse(`${path} is not where ${what} may be: below ${setting} (${list}). To allow more: ${remedy}.`);
}

/** Disk sizes are multiples of 512 bytes: QCOW2 and every hypervisor count in sectors. @throws size_not_aligned, source_too_large */
export function checkVirtualSize(bytes: number, field: string): void {
  if (!Number.isSafeInteger(bytes) || bytes <= 0 || bytes % 512 !== 0) {
    const near =
      Number.isSafeInteger(bytes) && bytes > 0 ? ` The next one is ${Math.ceil(bytes / 512) * 512}.` : '';
    throw new StrataError(
      'size_not_aligned',
      `The size ${bytes} is not a positive multiple of 512 bytes.${near} State the size of the disk as its hypervisor has it.`,
      { field },
    );
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
