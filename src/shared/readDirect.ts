import { type AlignedBuffers, alignedBuffers } from './alignedBuffers.js';

/** Fills `target` with what lies at `position` of a file, as far as one call gives it. @returns how many bytes */
export type ReadInto = (target: Buffer, position: number) => number | Promise<number>;

/** What direct I/O wants is a multiple of the logical sector: 512, 4,096, and up to 64 KiB on a few (Linux 6.15). */
const ALIGNMENT = 65_536;
const PIECE_BYTES = 512 * 1024;

let pieces: AlignedBuffers | undefined;

/**
 * Reads any range of a file that was opened with O_DIRECT: by way of a buffer whose address, offset and length every disk
 * takes. It does no harm to a file that was opened without.
 * @returns how many bytes there were: fewer than asked for only at the end
 */
export async function readDirect(read: ReadInto, target: Buffer, position: number): Promise<number> {
  const buffers = (pieces ??= alignedBuffers(PIECE_BYTES));
  const piece = buffers.take();
  try {
    let filled = 0;
    while (filled < target.length) {
      const from = position + filled;
      const before = from % ALIGNMENT;
      const wanted = before + target.length - filled;
      const length = Math.min(PIECE_BYTES, Math.ceil(wanted / ALIGNMENT) * ALIGNMENT);
      // Beyond the end of a device the kernel shortens the read.
      const got = await read(piece.subarray(0, length), from - before);
      const useful = Math.min(got, wanted) - before;
      if (useful <= 0) break;
      piece.copy(target, filled, before, before + useful);
      filled += useful;
    }
    return filled;
  } finally {
    buffers.give(piece);
  }
}
