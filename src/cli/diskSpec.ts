import { statSync } from 'node:fs';
import { extname, resolve } from 'node:path';
import type { ImageFormat, ReadSource, Source } from '../client/index.js';
import { StrataError } from '../shared/errors.js';
import { parseSize } from './numbers.js';

const FORMAT_BY_EXTENSION: Readonly<Record<string, ImageFormat>> = {
  '.raw': 'raw',
  '.img': 'raw',
  '.qcow2': 'qcow2',
  '.vmdk': 'vmdk',
  '.vhdx': 'vhdx',
  '.vdi': 'vdi',
  '.vpc': 'vpc',
  '.vhd': 'vpc',
};
export const FORMATS: readonly ImageFormat[] = [...new Set(Object.values(FORMAT_BY_EXTENSION))];

/** Of `--force-share`. */
export const FORCE_SHARE_HELP =
  'read image files and devices without a lock, although other programs may write to them';

/** What options say of a source. */
export interface GivenOfSource {
  format?: string | undefined;
  bitmap?: string | undefined;
  forceShare?: boolean | undefined;
}

/**
 * Reads where a disk's bytes come from: a path, or an NBD URI. A file's format is the stated one or that of the name's
 * extension, never guessed from the content (which the guest of a raw disk controls). A block device is raw.
 * @param format stated by `--format`
 * @param bitmap dirty bitmap of an NBD export
 * @param forceShare stated by `--force-share`
 * @throws unknown_format for an extension that names no format
 * @throws invalid_request for what cannot be meant
 */
export function parseSource(text: string, given: GivenOfSource = {}): ReadSource {
  if (/^nbds?(\+unix)?:\/\//i.test(text)) return nbdSource(text, given);
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(text)) {
    throw invalid(`"${text}" is neither a path nor an NBD URI (nbd://, nbds://, nbd+unix://).`);
  }
  if (text === '') throw invalid('A source is a path or an NBD URI; it is empty.');
  if (given.bitmap !== undefined)
    throw invalid(
      'Only an NBD source has a dirty bitmap. Serve one of a QCOW2 file: qemu-nbd -r -f qcow2 -B NAME FILE.',
    );
  return {
    type: 'file',
    path: resolve(text),
    format: given.format === undefined ? formatOf(text) : checkFormat(given.format),
    ...(given.forceShare === true ? { force_share: true } : {}),
  };
}

function nbdSource(uri: string, given: GivenOfSource): ReadSource {
  if (given.forceShare === true)
    throw invalid(
      'An NBD source has no lock of QEMU: --force-share goes with image files and block devices.',
    );
  if (given.format !== undefined)
    throw invalid('An NBD source has no format: it is read as the raw disk that it exports.');
  return { type: 'nbd', uri, ...(given.bitmap === undefined ? {} : { bitmap: given.bitmap }) };
}

function checkFormat(text: string): ImageFormat {
  const format = FORMATS.find((candidate) => candidate === text);
  if (format) return format;
  throw new StrataError('unknown_format', `The format is one of ${FORMATS.join(', ')}.`, { field: 'format' });
}

/**
 * The format that a path names: by its extension; a block device whose name has none that is known is raw. What lies there
 * is looked at and not where: `/dev/shm/disk.qcow2` is a file. A device that only another host has needs a stated format.
 * @throws unknown_format for an extension that names none, and for a device that is called after a format but raw
 */
export function formatOf(path: string): ImageFormat {
  const extension = extname(path).toLowerCase();
  const format = FORMAT_BY_EXTENSION[extension];
  const isDevice = isBlockDevice(path);
  if (isDevice && (format === undefined || format === 'raw')) return 'raw';
  if (isDevice) {
    throw new StrataError(
      'unknown_format',
      `"${path}" is a block device: state whether it is raw or holds an image, --format raw|${format}.`,
      { field: 'format' },
    );
  }
  if (format !== undefined) return format;
  const known = Object.keys(FORMAT_BY_EXTENSION).join(', ');
  throw new StrataError(
    'unknown_format',
    `The extension of "${path}" names no format (known: ${known}). State it: --format ${FORMATS.join('|')}.`,
    { field: 'format' },
  );
}

function isBlockDevice(path: string): boolean {
  try {
    return statSync(path).isBlockDevice();
  } catch {
    // The worker sees it, or says that it is not there.
    return false;
  }
}

/**
 * Reads `push:SIZE`: a disk of that size that an agent will push. Undefined for any other source.
 * @throws invalid_request for a size that is none
 */
export function parsePushed(text: string): number | undefined {
  const size = /^push:(.*)$/.exec(text)?.[1];
  if (size === undefined) return undefined;
  try {
    return parseSize(size);
  } catch (error) {
    throw invalid(`A pushed disk is push:SIZE. ${(error as Error).message}`);
  }
}

/**
 * Reads `[DISK_ID=]SOURCE`, such as `1=/disks/data.qcow2`. Without an id the disk is 0.
 * @throws invalid_request for an id that is not a whole number from 0
 */
export function parseDiskSource(text: string): { diskId: number; source: string } {
  const match = /^(\d+)=(.+)$/s.exec(text);
  return match?.[1] === undefined || match[2] === undefined
    ? { diskId: 0, source: text }
    : { diskId: parseDiskId(match[1]), source: match[2] };
}

/** @throws invalid_request for what is not a whole number from 0 */
export function parseDiskId(text: string): number {
  const id = Number(text);
  if (/^\d{1,9}$/.test(text) && Number.isSafeInteger(id)) return id;
  throw new StrataError('invalid_request', `A disk id is a whole number from 0, not "${text}".`, {
    field: 'disk_id',
  });
}

function invalid(message: string): StrataError {
  return new StrataError('invalid_request', message, { field: 'source' });
}

/** One word for a table: the path or the URI. */
export function describeSource(source: Source | null): string {
  if (source === null) return '-';
  if (source.type === 'push') return 'pushed by an agent';
  if (source.type === 'nbd') return source.uri;
  return `${source.path} (${source.format}${source.force_share === true ? ', force_share' : ''})`;
}
