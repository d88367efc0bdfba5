import type { Extent } from '../../shared/extents.js';
import { protocolError } from './errors.js';
import type { BlockStatus } from './types.js';

/** Bytes of the export that one block status request asks about: a multiple of every block size, and below the 32-bit limit. */
export const STATUS_WINDOW = 1024 * 1024 * 1024;
/** Windows asked for before they are needed. Each may hold 8 MiB of descriptors. */
const WINDOWS_AHEAD = 4;

/** Descriptors of a range as on the wire. */
export interface RawStatus {
  offset: number;
  /** Bytes asked for; the last descriptor may say more. */
  length: number;
  /** Pairs of 32-bit length and flags. */
  descriptors: Buffer;
}

export type AskStatus = (offset: number, length: number) => Promise<RawStatus>;

/** Descriptors as extents within the range, neighbours of equal flags merged. */
export function* decodeStatus({ offset, length, descriptors }: RawStatus): Generator<BlockStatus> {
  const end = offset + length;
  let run: BlockStatus | undefined;
  let position = offset;
  for (let at = 0; at < descriptors.length && position < end; at += 8) {
    const bytes = Math.min(descriptors.readUInt32BE(at), end - position);
    const flags = descriptors.readUInt32BE(at + 4);
    if (run && run.flags === flags) run.length += bytes;
    else {
      if (run) yield run;
      run = { offset: position, length: bytes, flags };
    }
    position += bytes;
  }
  if (run) yield run;
}

/**
 * The status of a whole range, in order, merged across requests. Asks for the next windows while the caller is busy with one.
 * @param minimum the server's minimum block size: every request begins at a multiple of it
 */
export async function* statusOfRange(
  range: Extent,
  minimum: number,
  ask: AskStatus,
): AsyncGenerator<BlockStatus> {
  let run: BlockStatus | undefined;
  for await (const reply of repliesOfRange(range, minimum, ask)) {
    for (const extent of decodeStatus(reply)) {
      if (run && run.flags === extent.flags) run.length += extent.length;
      else {
        if (run) yield run;
        run = extent;
      }
    }
  }
  if (run) yield run;
}

async function* repliesOfRange(range: Extent, minimum: number, ask: AskStatus): AsyncGenerator<RawStatus> {
  const ahead: Promise<PromiseSettledResult<RawStatus>>[] = [];
  const end = range.offset + range.length;
  let next = range.offset;
  while (next < end || ahead.length > 0) {
    while (next < end && ahead.length < WINDOWS_AHEAD) {
      const length = Math.min(STATUS_WINDOW, end - next);
      ahead.push(settle(ask(next, length)));
      next += length;
    }
    const first = await ahead.shift();
    if (first?.status === 'rejected') throw first.reason;
    if (first) yield* restOfWindow(first.value, minimum, ask);
  }
}

/**
 * A server may answer less than was asked: the rest of the window is asked for until it is covered. nbdkit 1.32 tells the
 * extents of a file as they are, also below the minimum block size that it demands of requests: what it told of a part of a
 * block is asked for again.
 */
async function* restOfWindow(first: RawStatus, minimum: number, ask: AskStatus): AsyncGenerator<RawStatus> {
  const end = first.offset + first.length;
  let reply = first;
  while (true) {
    const covered = coveredBytes(reply);
    if (reply.offset + covered >= end) return yield reply;
    const length = covered - (covered % minimum);
    if (length === 0)
      throw protocolError('Block status covers less than the minimum block size.', { minimum });
    yield { ...reply, length };
    const position = reply.offset + length;
    reply = await ask(position, end - position);
  }
}

function coveredBytes({ length, descriptors }: RawStatus): number {
  let covered = 0;
  for (let at = 0; at < descriptors.length; at += 8) covered += descriptors.readUInt32BE(at);
  return Math.min(covered, length);
}

/** A promise that never rejects, so that what was asked ahead can fail before anybody waits for it. */
async function settle<T>(work: Promise<T>): Promise<PromiseSettledResult<T>> {
  const [result] = await Promise.allSettled([work]);
  return result;
}
