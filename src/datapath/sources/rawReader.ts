import type { FileHandle } from 'node:fs/promises';
import { StrataError } from '../../shared/errors.js';
import { readDirect } from '../../shared/readDirect.js';
import type { BlockReader } from './types.js';

/**
 * Reads a raw file or block device directly: no server, no copy through a socket. The caller closes the file.
 * What a read fails with goes through `readError`. A read of a file system that hangs cannot be taken back, so `destroy` rejects it and lets it go.
 * @param direct the file was opened with O_DIRECT
 */
export function rawReader(
  file: FileHandle,
  readError: (error: unknown) => Error,
  direct = false,
): BlockReader {
  const readFully = direct ? readPastCache : readThroughCache;
  const waiting = new Set<(reason: Error) => void>();
  let destroyed: Error | undefined;
  return {
    read: async (offset, target) => {
      if (destroyed) throw destroyed;
      let giveUp: ((reason: Error) => void) | undefined;
      const abandoned = new Promise<never>((_, reject) => {
        giveUp = reject;
        waiting.add(reject);
      });
      try {
        await Promise.race([readFully(file, offset, target), abandoned]);
      } catch (error) {
        throw error === destroyed ? error : readError(error);
      } finally {
        if (giveUp) waiting.delete(giveUp);
      }
    },
    destroy: (reason) => {
      destroyed ??= reason;
      for (const reject of waiting) reject(destroyed);
    },
  };
}

async function readThroughCache(file: FileHandle, offset: number, target: Buffer): Promise<void> {
  let filled = 0;
  while (filled < target.length) {
    const { bytesRead } = await file.read(target, filled, target.length - filled, offset + filled);
    if (bytesRead === 0) throw cut(offset + filled);
    filled += bytesRead;
  }
}

async function readPastCache(file: FileHandle, offset: number, target: Buffer): Promise<void> {
  const read = async (piece: Buffer, position: number) =>
    (await file.read(piece, 0, piece.length, position)).bytesRead;
  const filled = await readDirect(read, target, offset);
  if (filled < target.length) throw cut(offset + filled);
}

function cut(bytes: number): StrataError {
  return new StrataError(
    'source_changed',
    `The source ends at ${bytes} bytes: it was cut while it was read.`,
  );
}
