import type { FileHandle } from 'node:fs/promises';
import { readAt } from './readAt.js';

/** Bytes of a table that are read at a time. */
const PIECE_BYTES = 1024 * 1024;

/**
 * Reads a table of an image in pieces of whole entries, so that memory does not grow with it.
 * @param at where it begins in the file, in bytes
 * @param bytes its length; what lies beyond the end of the file is missing from the last piece
 */
export async function* tablePieces(
  file: FileHandle,
  at: number,
  bytes: number,
  signal?: AbortSignal,
): AsyncGenerator<Buffer, void> {
  for (let done = 0; done < bytes; done += PIECE_BYTES) {
    signal?.throwIfAborted();
    yield await readAt(file, at + done, Math.min(PIECE_BYTES, bytes - done));
  }
}
