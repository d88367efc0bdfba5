import { open } from 'node:fs/promises';
import { abortable, throwIfAborted } from '../../shared/abort.js';
import { asStrataError, errnoOf, isStrataError, StrataError } from '../../shared/errors.js';

/** The errors of a network file system that is gone: all of its files would look the same. */
const GONE = ['ESTALE', 'ENOTCONN', 'EHOSTDOWN', 'ETIMEDOUT'];
/** What is certain about a name: there is nothing of that name, or a part of the path is no directory. */
const ABSENT = ['ENOENT', 'ENOTDIR'];
const PIECE_BYTES = 1024 * 1024;

/** True where an error of a file operation says that the file certainly is not there. */
export function saysAbsent(error: unknown): boolean {
  return ABSENT.includes(errnoOf(error) ?? '');
}

/**
 * One sentence on why a file could not be looked at.
 * @throws repository_unavailable where the error is that of a file system which is gone
 * @throws the error itself where it is none of a file: an abort, a defect
 */
export function readingTrouble(error: unknown): string {
  const errno = errnoOf(error);
  if (errno === undefined) throw error;
  const { message } = asStrataError(error);
  if (GONE.includes(errno)) {
    throw new StrataError('repository_unavailable', `The repository cannot be read: ${message}`, {
      cause: error,
    });
  }
  return message;
}

/** The last two: a header that was made to name a server. */
const IMAGE_TROUBLE = [
  'tool_failed',
  'unknown_format',
  'source_in_use',
  'file_missing',
  'chain_broken',
  'nbd_connection_lost',
  'nbd_refused',
] as const;

/**
 * What a QEMU tool says that could not use the image.
 * @throws the error itself where it is no statement on the image: an abort, a deadline, a missing program
 */
export function imageTrouble(error: unknown): { code: string; reason: string } {
  if (!isStrataError(error, ...IMAGE_TROUBLE)) throw error;
  return { code: error.code, reason: error.message };
}

/**
 * Reads a file from its beginning to its end, to tell a disk that does not give its bytes from bytes that are wrong:
 * QEMU says "Input/output error" for both (seen with a refcount table entry that points nowhere).
 * @returns why it cannot be read, or undefined when every byte can
 */
export async function whyUnreadable(path: string, signal: AbortSignal): Promise<string | undefined> {
  try {
    const file = await abortable(open(path, 'r'), signal);
    try {
      const buffer = Buffer.allocUnsafe(PIECE_BYTES);
      for (;;) {
        throwIfAborted(signal);
        const { bytesRead } = await file.read(buffer, 0, buffer.length, null);
        if (bytesRead === 0) return undefined;
      }
    } finally {
      await file.close();
    }
  } catch (error) {
    return readingTrouble(error);
  }
}
