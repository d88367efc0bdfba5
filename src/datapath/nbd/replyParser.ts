import {
  CHUNK,
  CHUNK_DONE,
  CHUNK_ERROR_BIT,
  COMMAND,
  MAX_ERROR_CHUNK,
  MAX_STATUS_DESCRIPTORS,
  SIMPLE_REPLY_MAGIC,
  STRUCTURED_REPLY_MAGIC,
} from './constants.js';
import { protocolError } from './errors.js';
import {
  checkAnswered,
  claimRange,
  type Expectation,
  noteBlockStatus,
  noteErrorChunk,
  type ReplyRules,
} from './expectation.js';

/** Turns the server's bytes into answers. It owns no socket, waits for nothing, and allocates only what it has bounded before. */
export interface ReplyParser {
  /**
   * Takes the next bytes, cut anywhere; they are not needed after the call.
   * @throws nbd_protocol_error, and from then on for every further call
   */
  push(chunk: Buffer): void;
  /** The rest of a read's buffer if its data comes next, so that a socket can be read straight into it. */
  directTarget(): Buffer | undefined;
  /** `bytes` bytes were put at the start of what `directTarget` gave. */
  directFilled(bytes: number): void;
}

export interface ReplyParserOptions {
  rules: ReplyRules;
  /** The outstanding request with this cookie. */
  find(cookie: number): Expectation | undefined;
  /** The reply is complete: `failure`, `status` or the target hold the answer. `find` must not give it again. */
  done(expectation: Expectation, cookie: number): void;
}

/** Bytes of a simple reply after its magic: error, cookie. */
const SIMPLE_REST = 12;
/** Bytes of a chunk's header after its magic: flags, type, cookie, length. */
const CHUNK_REST = 16;

export function createReplyParser(options: ReplyParserOptions): ReplyParser {
  const parser = new ReplyStream(options);
  let broken: unknown;
  const guarded = (work: () => void) => {
    if (broken !== undefined) throw broken;
    try {
      work();
    } catch (error) {
      broken = error;
      throw error;
    }
  };
  return {
    push: (chunk) => guarded(() => parser.push(chunk)),
    directTarget: () => (broken === undefined ? parser.directTarget() : undefined),
    directFilled: (bytes) => guarded(() => parser.filled(bytes)),
  };
}

/** The state: either `need` bytes are collected for `consume`, or a read's data is copied into `target`. */
class ReplyStream {
  private need = 4;
  private consume: (bytes: Buffer, at: number) => void;
  private held = Buffer.allocUnsafe(32);
  private heldBytes = 0;
  private target: Buffer | undefined;
  private targetAt = 0;
  private current: Expectation | undefined;
  private cookie = 0;
  private last = false;

  constructor(private readonly options: ReplyParserOptions) {
    this.consume = this.onMagic;
  }

  push(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length) at += this.target ? this.copy(this.target, chunk, at) : this.collect(chunk, at);
  }

  directTarget(): Buffer | undefined {
    return this.target?.subarray(this.targetAt);
  }

  filled(bytes: number): void {
    if (!this.target) return;
    this.targetAt += bytes;
    if (this.targetAt < this.target.length) return;
    this.target = undefined;
    this.endChunk();
  }

  private copy(target: Buffer, chunk: Buffer, at: number): number {
    const bytes = chunk.copy(target, this.targetAt, at);
    this.filled(bytes);
    return bytes;
  }

  private collect(chunk: Buffer, at: number): number {
    const wanted = this.need - this.heldBytes;
    if (this.heldBytes === 0 && chunk.length - at >= wanted) {
      this.consume(chunk, at);
      return wanted;
    }
    const taken = chunk.copy(this.held, this.heldBytes, at, Math.min(chunk.length, at + wanted));
    this.heldBytes += taken;
    if (this.heldBytes === this.need) {
      this.heldBytes = 0;
      this.consume(this.held, 0);
    }
    return taken;
  }

  private expect(need: number, consume: (bytes: Buffer, at: number) => void): void {
    this.need = need;
    this.consume = consume;
    if (need > this.held.length) this.held = Buffer.allocUnsafe(need);
    // A block status may have needed megabytes; an idle connection does not keep them.
    else if (need <= 32 && this.held.length > MAX_ERROR_CHUNK) this.held = Buffer.allocUnsafe(32);
  }

  private readonly onMagic = (bytes: Buffer, at: number): void => {
    const magic = bytes.readUInt32BE(at);
    if (magic === SIMPLE_REPLY_MAGIC) this.expect(SIMPLE_REST, this.onSimple);
    else if (magic === STRUCTURED_REPLY_MAGIC && this.options.rules.structured)
      this.expect(CHUNK_REST, this.onChunk);
    else throw protocolError('A reply begins with a wrong magic number.', { magic: magic.toString(16) });
  };

  private findCurrent(bytes: Buffer, at: number): Expectation {
    // Our cookies are below 2^32: the upper half is always 0.
    this.cookie = bytes.readUInt32BE(at + 4);
    const found = bytes.readUInt32BE(at) === 0 ? this.options.find(this.cookie) : undefined;
    if (!found) throw protocolError('A reply carries the cookie of no outstanding request.');
    this.current = found;
    return found;
  }

  private readonly onSimple = (bytes: Buffer, at: number): void => {
    const errno = bytes.readUInt32BE(at);
    const expectation = this.findCurrent(bytes, at + 4);
    this.last = true;
    if (errno !== 0) {
      expectation.failure ??= { errno, message: '' };
      this.endChunk();
    } else if (expectation.command !== COMMAND.read) this.endChunk();
    else if (this.options.rules.structured)
      throw protocolError(
        'A read was answered by a simple reply although structured replies were negotiated.',
      );
    else this.startData(expectation, expectation.offset, expectation.length);
  };

  private readonly onChunk = (bytes: Buffer, at: number): void => {
    this.last = (bytes.readUInt16BE(at) & CHUNK_DONE) !== 0;
    const type = bytes.readUInt16BE(at + 2);
    const expectation = this.findCurrent(bytes, at + 4);
    const length = bytes.readUInt32BE(at + 12);
    if ((type & CHUNK_ERROR_BIT) !== 0) this.startError(expectation, type, length);
    else if (type === CHUNK.none) this.onNone(length);
    else if (type === CHUNK.offsetData) this.startOffsetData(expectation, length);
    else if (type === CHUNK.offsetHole) this.startOffsetHole(expectation, length);
    else if (type === CHUNK.blockStatus) this.startBlockStatus(expectation, length);
    else throw protocolError('A chunk has an unknown type.', { type });
  };

  private onNone(length: number): void {
    if (length !== 0 || !this.last) throw protocolError('An empty chunk has content, or is not the last.');
    this.endChunk();
  }

  private startOffsetData(expectation: Expectation, length: number): void {
    if (length <= 8 || length - 8 > expectation.length)
      throw protocolError('A data chunk is longer than the request, or has no data.', { length });
    this.expect(8, (bytes, at) => this.startData(expectation, offsetAt(bytes, at), length - 8));
  }

  private startData(expectation: Expectation, offset: number, length: number): void {
    this.target = claimRange(expectation, offset, length);
    this.targetAt = 0;
  }

  private startOffsetHole(expectation: Expectation, length: number): void {
    if (length !== 12) throw protocolError('A hole chunk does not have 12 bytes.', { length });
    this.expect(12, (bytes, at) => {
      claimRange(expectation, offsetAt(bytes, at), bytes.readUInt32BE(at + 8)).fill(0);
      this.endChunk();
    });
  }

  private startBlockStatus(expectation: Expectation, length: number): void {
    // No descriptor is shorter than a byte, so that a request of n bytes has at most n of them.
    const most = 4 + 8 * Math.min(MAX_STATUS_DESCRIPTORS, expectation.length);
    if (length < 12 || length > most || length % 8 !== 4)
      throw protocolError('A block status chunk has an impossible length.', { length });
    this.expect(length, (bytes, at) => {
      noteBlockStatus(expectation, bytes.subarray(at, at + length), this.options.rules);
      this.endChunk();
    });
  }

  private startError(expectation: Expectation, type: number, length: number): void {
    if (length < 6 || length > MAX_ERROR_CHUNK)
      throw protocolError('An error chunk has an impossible length.', { length });
    this.expect(length, (bytes, at) => {
      noteErrorChunk(expectation, bytes.subarray(at, at + length), type === CHUNK.errorOffset);
      this.endChunk();
    });
  }

  private endChunk(): void {
    const expectation = this.current;
    this.current = undefined;
    this.expect(4, this.onMagic);
    if (!this.last || !expectation) return;
    checkAnswered(expectation);
    this.options.done(expectation, this.cookie);
  }
}

/** An offset of a chunk; beyond 2^53 it becomes a number that no request contains. */
function offsetAt(bytes: Buffer, at: number): number {
  return bytes.readUInt32BE(at) * 0x100000000 + bytes.readUInt32BE(at + 4);
}
