import { COMMAND, type Command, MAX_ERROR_CHUNKS } from './constants.js';
import { type Coverage, createCoverage } from './coverage.js';
import { protocolError, type ServerFailure, serverText } from './errors.js';

/** A request that was sent, and what has come of its reply so far. */
export interface Expectation {
  readonly command: Command;
  /** Bytes of the export. */
  readonly offset: number;
  readonly length: number;
  /** Where a read's data goes; exactly `length` bytes. */
  readonly target?: Buffer;
  /** The meta context whose block status is wanted. */
  readonly contextId?: number;
  /** The first error that the server reported. */
  failure?: ServerFailure;
  /** Block status descriptors of `contextId` as on the wire: pairs of 32-bit length and flags. */
  status?: Buffer;
  coverage?: Coverage;
  errorChunks?: number;
  contextsSeen?: number[];
}

/** Facts of the connection that replies are checked against. */
export interface ReplyRules {
  /** Structured replies were negotiated. */
  structured: boolean;
  sizeBytes: number;
  /** Ids of the meta contexts that were granted. */
  contextIds: ReadonlySet<number>;
}

/**
 * Notes that the server answers [offset, offset + length) of a read, and gives the place for it in the caller's buffer.
 * @throws nbd_protocol_error outside the request, for an empty range, and for bytes that were answered before
 */
export function claimRange(expectation: Expectation, offset: number, length: number): Buffer {
  const { target } = expectation;
  if (expectation.command !== COMMAND.read || !target)
    throw protocolError('Data came for a request that is not a read.');
  const start = offset - expectation.offset;
  if (length === 0) throw protocolError('A chunk of a read is empty.');
  if (start < 0 || start + length > expectation.length)
    throw protocolError('A chunk lies outside the range that was asked for.', { offset, length });
  expectation.coverage ??= createCoverage();
  const outcome = expectation.coverage.add(start, start + length);
  if (outcome === 'overlap') throw protocolError('Two chunks of a read overlap.', { offset, length });
  if (outcome === 'fragmented') throw protocolError('A read was answered in too many scattered chunks.');
  return target.subarray(start, start + length);
}

/**
 * Notes an error chunk: errno, text with its length, and for some types the offset.
 * @throws nbd_protocol_error if it is malformed
 */
export function noteErrorChunk(expectation: Expectation, payload: Buffer, hasOffset: boolean): void {
  expectation.errorChunks = (expectation.errorChunks ?? 0) + 1;
  if (expectation.errorChunks > MAX_ERROR_CHUNKS) throw protocolError('A reply has too many error chunks.');
  const errno = payload.readUInt32BE(0);
  const textEnd = 6 + payload.readUInt16BE(4);
  if (errno === 0) throw protocolError('An error chunk carries no error.');
  if (textEnd + (hasOffset ? 8 : 0) > payload.length)
    throw protocolError('The text of an error chunk is longer than the chunk.');
  const failure: ServerFailure = { errno, message: serverText(payload.subarray(6, textEnd)) };
  if (hasOffset) failure.offset = checkedErrorOffset(expectation, payload.readBigUInt64BE(textEnd));
  expectation.failure ??= failure;
}

function checkedErrorOffset(expectation: Expectation, offset: bigint): number {
  const start = BigInt(expectation.offset);
  if (offset < start || offset >= start + BigInt(Math.max(expectation.length, 1)))
    throw protocolError('The offset of an error lies outside the request.');
  return Number(offset);
}

/**
 * Notes a block status chunk: context id, then pairs of length and flags. Only the last pair may reach beyond the request,
 * and none beyond the export.
 * @throws nbd_protocol_error if it is malformed, of an unknown context, or the second one of a context
 */
export function noteBlockStatus(expectation: Expectation, payload: Buffer, rules: ReplyRules): void {
  if (expectation.command !== COMMAND.blockStatus)
    throw protocolError('Block status came for another kind of request.');
  const contextId = payload.readUInt32BE(0);
  if (!rules.contextIds.has(contextId)) throw protocolError('Block status came for an unknown meta context.');
  expectation.contextsSeen ??= [];
  if (expectation.contextsSeen.includes(contextId))
    throw protocolError('Block status came twice for a meta context.');
  expectation.contextsSeen.push(contextId);
  checkDescriptors(expectation, payload, rules.sizeBytes);
  if (contextId === expectation.contextId) expectation.status = Buffer.from(payload.subarray(4));
}

function checkDescriptors(expectation: Expectation, payload: Buffer, sizeBytes: number): void {
  let covered = 0;
  for (let at = 4; at < payload.length; at += 8) {
    const length = payload.readUInt32BE(at);
    if (length === 0) throw protocolError('A block status descriptor is empty.');
    if (covered >= expectation.length) throw protocolError('Block status goes on beyond the request.');
    covered += length;
  }
  if (expectation.offset + covered > sizeBytes)
    throw protocolError('Block status goes on beyond the export.');
}

/**
 * Called at the end of a reply.
 * @throws nbd_protocol_error if it reported no error and still lacks what was asked for
 */
export function checkAnswered(expectation: Expectation): void {
  if (expectation.failure) return;
  if (expectation.command === COMMAND.read && !expectation.coverage?.isComplete(expectation.length))
    throw protocolError('The reply ended before all data of the read had come.');
  if (expectation.command === COMMAND.blockStatus && !expectation.status)
    throw protocolError('The reply ended without the block status that was asked for.');
}
