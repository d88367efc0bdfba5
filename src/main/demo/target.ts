import { access, constants, realpath, stat } from 'node:fs/promises';
import { createHash } from 'node:crypto';
import { basename, extname, resolve } from 'node:path';
import { parseSource } from '../../cli/diskSpec.js';
import type { ReadSource } from '../../client/index.js';
import { parseNbdUri } from '../../datapath/nbd/index.js';
import { StrataError, errnoOf } from '../../shared/errors.js';
import { slug } from '../../shared/names.js';
import type { Access } from '../control/access.js';

/** The kinds of sources that the demonstration can show. */
export type DemoSource = Extract<ReadSource, { type: 'file' | 'nbd' }>;

/** What the demonstration backs up. */
export interface DemoTarget {
  /** Made by the demonstration, which may change it; a disk of the user's is only read. */
  own: boolean;
  source: DemoSource;
  /** The name that the VM gets, and another one for when that is another disk's. */
  vmName: string;
  otherVmName: string;
  /** What the fleet has to be allowed for it. */
  access: Access;
}

/** The disk that the demonstration makes for itself. */
export function demoTarget(path: string): DemoTarget {
  const source: DemoSource = { type: 'file', path, format: 'raw' };
  return { own: true, source, ...namesOf('demo', path), access: { sourceRoots: [], nbdAllow: [] } };
}

/**
 * The user's disk: a path or an NBD URI. Nothing is allowed beyond that one file or server.
 * @param format stated by `--format`
 * @throws source_missing for a path at which no disk can be read, and says why
 * @throws unknown_format when neither `--format` nor the extension tells the format
 */
export async function userTarget(text: string, format: string | undefined): Promise<DemoTarget> {
  // What is wrong with a path is told before what is unknown of its format.
  const path = text.includes('://') ? '' : await readableDisk(text);
  const source = parseSource(text, { format });
  if (source.type === 'nbd') return nbdTarget(source);
  if (source.type !== 'file')
    throw missing(`The demonstration reads files, devices and NBD exports, and not ${text}.`);
  if (path.includes(',')) {
    // STRATA_SOURCE_ROOTS is a comma-separated list.
    throw new StrataError('path_not_allowed', `A path with a comma cannot be allowed to the fleet: ${path}.`);
  }
  const name = slug(basename(path, extname(path)));
  const access = { sourceRoots: [path], nbdAllow: [] };
  return { own: false, source: { ...source, path }, ...namesOf(name, path), access };
}

function nbdTarget(source: Extract<ReadSource, { type: 'nbd' }>): DemoTarget {
  const address = parseNbdUri(source.uri);
  const server =
    address.kind === 'unix'
      ? address.socketPath
      : `${address.host.includes(':') ? `[${address.host}]` : address.host}:${address.port}`;
  const place = address.kind === 'unix' ? basename(address.socketPath) : address.host;
  const name = slug(`nbd-${place}${address.exportName === '' ? '' : `-${address.exportName}`}`);
  return {
    own: false,
    source,
    ...namesOf(name, source.uri),
    access: { sourceRoots: [], nbdAllow: [server] },
  };
}

function namesOf(name: string, place: string): { vmName: string; otherVmName: string } {
  const mark = createHash('sha256').update(place).digest('hex').slice(0, 8);
  // A slug may end up with nothing but signs that a VM's name may not begin with.
  const vmName = /^[A-Za-z0-9]/.test(name) ? name : `disk-${name}`;
  return { vmName, otherVmName: `${vmName}-${mark}` };
}

/** The real path of a file or block device that this user may read. */
async function readableDisk(given: string): Promise<string> {
  const path = resolve(given);
  try {
    const real = await realpath(path);
    const stats = await stat(real);
    if (stats.isDirectory()) throw missing(`${path} is a directory; name the disk image in it.`);
    if (!stats.isFile() && !stats.isBlockDevice())
      throw missing(`${path} is neither a file nor a block device.`);
    if (stats.isFile() && stats.size === 0) throw missing(`${path} is empty.`);
    await access(real, constants.R_OK);
    return real;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') throw missing(`There is no file ${path}.`, error);
    if (errnoOf(error) === 'EACCES') throw missing(`${path} may not be read by this user.`, error);
    throw error;
  }
}

function missing(message: string, cause?: unknown): StrataError {
  return new StrataError('source_missing', message, { field: 'disk', cause });
}
