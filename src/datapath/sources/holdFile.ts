import { constants } from 'node:fs';
import { type FileHandle, lstat, open, readlink, statfs } from 'node:fs/promises';
import { basename } from 'node:path';
import type { ForeignFile } from '../../qcow2/index.js';
import { errnoOf, StrataError } from '../../shared/errors.js';
import { O_PATH } from '../../shared/files.js';
import { sourceReadError } from '../../shared/sourceReadError.js';
import { allowedRealPath } from './paths.js';

const READABLE_BY_ALL = 0o004n;

/**
 * Magic numbers (statfs(2)) of file systems that ask for the reader's user id, and that no capability opens: NFS, SMB (three
 * of it), FUSE and virtiofs, Ceph, 9p, AFS, GPFS, Lustre.
 */
const ASK_FOR_USER = new Set([
  0x6969, 0x517b, 0xff534d42, 0xfe534d42, 0x65735546, 0x00c36400, 0x01021997, 0x5346414f, 0x47504653,
  0x0bd00bd0,
]);

/** What a name gives that was taken away, or that became a symbolic link, after it was resolved. */
const EXCHANGED = new Set(['ENOTDIR', 'ELOOP']);
const ABSENT = new Set(['ENOENT', 'EACCES', 'EPERM']);

/** A file that was looked at, held open: whatever comes to its name later, this stays the file that was looked at. */
export interface HeldFile extends ForeignFile {
  /** Size in bytes when it was looked at; undefined for a block device. */
  bytes: number | undefined;
  /**
   * Opens the same file once more, by its descriptor.
   * @throws source_changed when its name leads to something else by now: what was read would not be what the name means
   */
  reopen(flags?: number): Promise<FileHandle>;
  close(): Promise<void>;
}

/**
 * Opens a file under the roots, and nothing else that comes to its name meanwhile: it is found without being opened
 * (O_PATH, so that no device or FIFO put there notices), and only when the kernel says that what was found lies where the
 * resolved path leads, it is opened by that very descriptor. The caller closes it.
 * @param field where the path came from, for the error
 * @throws path_not_allowed, source_missing, source_changed (exchanged while it was looked at), source_io_error
 */
export async function holdFile(path: string, roots: readonly string[], field: string): Promise<HeldFile> {
  const real = await allowedRealPath(path, roots, field);
  const found = await find(real, field);
  try {
    const stats = await found.stat({ bigint: true });
    if (stats.isSymbolicLink()) throw exchanged(real);
    if (!stats.isFile() && !stats.isBlockDevice()) {
      const message = 'The source is neither a regular file nor a block device.';
      throw new StrataError('source_missing', message, { field, details: { path } });
    }
    const link = `/proc/self/fd/${found.fd}`;
    // A directory above may have been exchanged for a link since the path was resolved: where the file is, is what counts.
    if ((await readlink(link)) !== real) throw exchanged(real);
    const file = await openRead(link, field);
    return held({
      file,
      real,
      name: basename(real),
      identity: stats,
      bytes: stats.isFile() ? Number(stats.size) : undefined,
      readableBy: await readers(file, stats.mode),
    });
  } finally {
    await found.close();
  }
}

interface Looked extends Pick<HeldFile, 'name' | 'bytes' | 'readableBy'> {
  file: FileHandle;
  real: string;
  identity: { dev: bigint; ino: bigint };
}

function held({ file, real, identity, ...looked }: Looked): HeldFile {
  return {
    ...looked,
    path: real,
    fd: file.fd,
    reopen: async (flags = constants.O_RDONLY | constants.O_NONBLOCK) => {
      const now = await lstat(real, { bigint: true }).catch(() => undefined);
      if (now?.dev !== identity.dev || now.ino !== identity.ino) throw exchanged(real);
      return open(`/proc/self/fd/${file.fd}`, flags);
    },
    close: () => file.close(),
  };
}

async function find(real: string, field: string): Promise<FileHandle> {
  try {
    return await open(real, O_PATH | constants.O_NOFOLLOW);
  } catch (error) {
    if (EXCHANGED.has(errnoOf(error) ?? '')) throw exchanged(real, error);
    throw unreadable(error, field);
  }
}

async function openRead(link: string, field: string): Promise<FileHandle> {
  try {
    // O_NONBLOCK: a lease or an empty drive must not hang the worker.
    return await open(link, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    throw unreadable(error, field);
  }
}

function unreadable(error: unknown, field: string): StrataError {
  if (!ABSENT.has(errnoOf(error) ?? '')) return sourceReadError(error);
  return new StrataError('source_missing', 'The source does not exist or may not be read.', {
    cause: error,
    field,
  });
}

async function readers(file: FileHandle, mode: bigint): Promise<ForeignFile['readableBy']> {
  const { type } = await statfs(`/proc/self/fd/${file.fd}`);
  if (ASK_FOR_USER.has(type >>> 0)) return 'worker';
  return (mode & READABLE_BY_ALL) === 0n ? 'capability' : 'anybody';
}

function exchanged(path: string, cause?: unknown): StrataError {
  return new StrataError('source_changed', 'The source was replaced after it was inspected.', {
    details: { path },
    ...(cause === undefined ? {} : { cause }),
  });
}
