import type { FileHandle } from 'node:fs/promises';
import { abortable } from '../../shared/abort.js';
import { StrataError } from '../../shared/errors.js';
import type { BlockReader } from './types.js';

/** Reads a raw file or block device directly: no server, no copy through a socket. The caller closes the file. */
export function rawReader(file: FileHandle, signal: AbortSignal | undefined): BlockReader {
  const own = new AbortController();
  const either = signal ? AbortSignal.any([signal, own.signal]) : own.signal;
  return {
    read: (offset, target) => abortable(readFully(file, offset, target), either),
    destroy: (reason) => own.abort(reason),
  };
}

async function readFully(file: FileHandle, offset: number, target: Buffer): Promise<void> {
  let filled = 0;
  while (filled < target.length) {
    const { bytesRead } = await file.read(target, filled, target.length - filled, offset + filled);
    if (bytesRead === 0) {
      throw new StrataError(
        'source_changed',
        `The source ends at ${offset + filled} bytes: it was cut while it was read.`,
      );
    }
    filled += bytesRead;
  }
}
