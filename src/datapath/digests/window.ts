import { Blake3Hasher } from '@napi-rs/blake-hash';
import type { FileHandle } from 'node:fs/promises';
import { CHECKSUM_BYTES, invalid } from './format.js';

// One window for each layer of a chain is held at a time: a chain of 100 layers costs 10 MiB.
const WINDOW_BYTES = 96 * 1024;

export interface WindowReader {
  /** True when the next `length` bytes are in memory, so that `take` may be called. */
  ready(length: number): boolean;
  /** Reads until `length` bytes are in memory. @throws digest_index_invalid when the file ends before */
  fill(length: number): Promise<void>;
  /** The next bytes; they stay valid after further calls. */
  take(length: number): Buffer;
  /** @throws digest_index_invalid unless exactly the checksum is left and it matches all bytes before it */
  verify(): Promise<void>;
}

/** Reads a file from its beginning, window by window, and hashes all of it except the checksum at its end. */
export function createWindowReader(file: FileHandle, fileBytes: number): WindowReader {
  const hasher = new Blake3Hasher();
  const bodyBytes = fileBytes - CHECKSUM_BYTES;
  let window: Buffer = Buffer.alloc(0);
  let position = 0;
  const fill = async (length: number) => {
    const rest = Math.min(Math.max(length, WINDOW_BYTES) - window.length, fileBytes - position);
    const target = Buffer.allocUnsafeSlow(window.length + rest);
    window.copy(target);
    let filled = window.length;
    while (filled < target.length) {
      const { bytesRead } = await file.read(target, filled, target.length - filled, position);
      if (bytesRead === 0) throw invalid('The digest index was cut while it was read.');
      hashBody(target.subarray(filled, filled + bytesRead), position);
      filled += bytesRead;
      position += bytesRead;
    }
    window = target;
    if (window.length < length) throw invalid('The digest index ends in the middle of a run.');
  };
  const hashBody = (bytes: Buffer, at: number) => {
    const body = bytes.subarray(0, Math.max(0, bodyBytes - at));
    if (body.length > 0) hasher.update(body);
  };
  const take = (length: number) => {
    const bytes = window.subarray(0, length);
    window = window.subarray(length);
    return bytes;
  };
  return {
    ready: (length) => window.length >= length,
    fill,
    take,
    async verify() {
      if (window.length < CHECKSUM_BYTES) await fill(CHECKSUM_BYTES);
      if (position - window.length !== bodyBytes)
        throw invalid('The digest index goes on after its end record.');
      if (!take(CHECKSUM_BYTES).equals(hasher.digestBuffer())) {
        throw invalid('The digest index does not match its checksum.');
      }
    },
  };
}
