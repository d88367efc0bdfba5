import { COMMAND, REQUEST_MAGIC } from './constants.js';
import { connectionLost } from './errors.js';
import type { Expectation, ReplyRules } from './expectation.js';
import type { Link } from './link.js';
import { createProgressRule, LOOKS, type ProgressRule } from './progressRule.js';
import { createReplyParser } from './replyParser.js';

/** One request as it goes over the wire. Reads have a `target` of `length` bytes, writes a `payload`. */
export interface NbdRequest
  extends Pick<Expectation, 'command' | 'offset' | 'length' | 'target' | 'contextId'> {
  flags: number;
  payload?: Buffer;
}

/** Sends requests, at most `maxInFlight` at a time, and matches replies to them in whatever order they come. */
export interface Transmission {
  /** Resolves when the server has answered; whether it succeeded stands in the result's `failure`. Rejects when the link ends. */
  submit(request: NbdRequest): Promise<Expectation>;
  close(): Promise<void>;
  leave(reason: Error): Promise<void>;
  destroy(reason: Error): void;
}

export interface TransmissionOptions {
  link: Link;
  rules: ReplyRules;
  /** What came after the handshake in the same read. */
  rest: Buffer;
  maxInFlight: number;
  requestTimeoutMs: number;
  /** Called once when the link has ended, for whatever reason. */
  onEnd(): void;
}

interface Pending {
  request: NbdRequest;
  expectation: Expectation;
  resolve: (answer: Expectation) => void;
  reject: (reason: Error) => void;
  /** The look after which it was sent. */
  sentAtLook: number;
}

/**
 * Times `requestTimeoutMs` that a single request may take while others are answered: slow links need time for 16 large
 * requests, and this bounds a server that drops one.
 */
const MAX_PERIODS = 10;
/** Time for the server to close its side after NBD_CMD_DISC, in ms: all is answered by then, nothing is lost after it. */
const CLOSE_MS = 5000;
/** Time for the server to answer what it has been asked when the answers are not wanted any more, in ms. */
const LEAVE_MS = 1000;

export function startTransmission(options: TransmissionOptions): Transmission {
  const channel = new Channel(options);
  return {
    submit: (request) => channel.submit(request),
    close: () => channel.close(),
    leave: (reason) => channel.leave(reason),
    destroy: (reason) => options.link.destroy(reason),
  };
}

class Channel {
  private readonly inFlight = new Map<number, Pending>();
  private queue: Pending[] = [];
  private nextCookie = 1;
  private looks = 0;
  private receivedBytes = 0;
  private answers = 0;
  private failure: Error | undefined;
  private closing: Promise<void> | undefined;
  private refusal: Error | undefined;
  private onDrained: (() => void) | undefined;
  private readonly rule: ProgressRule;
  private readonly timer: NodeJS.Timeout;

  constructor(private readonly options: TransmissionOptions) {
    const { link, requestTimeoutMs, rest } = options;
    this.rule = createProgressRule(requestTimeoutMs);
    this.timer = setInterval(() => this.look(), Math.ceil(requestTimeoutMs / LOOKS));
    this.timer.unref();
    const parser = createReplyParser({
      rules: options.rules,
      find: (cookie) => this.inFlight.get(cookie)?.expectation,
      done: (_, cookie) => this.settle(cookie),
    });
    const guarded = (work: () => void) => {
      try {
        if (!this.failure) work();
      } catch (error) {
        link.destroy(error instanceof Error ? error : new Error(String(error)));
      }
    };
    link.receive({
      data: (chunk) => {
        this.receivedBytes += chunk.length;
        guarded(() => parser.push(chunk));
      },
      directTarget: () => parser.directTarget(),
      directFilled: (bytes) => {
        this.receivedBytes += bytes;
        guarded(() => parser.directFilled(bytes));
      },
      ended: (reason) => this.end(reason),
    });
    if (rest.length > 0) guarded(() => parser.push(rest));
  }

  submit(request: NbdRequest): Promise<Expectation> {
    return new Promise((resolve, reject) => {
      const refusal = this.refusal ?? this.failure;
      if (refusal) return reject(refusal);
      if (this.closing) return reject(connectionLost('The NBD connection is being closed.'));
      const { command, offset, length, target, contextId } = request;
      const expectation: Expectation = {
        command,
        offset,
        length,
        ...(target ? { target } : {}),
        ...(contextId === undefined ? {} : { contextId }),
      };
      const pending = { request, expectation, resolve, reject, sentAtLook: 0 };
      if (this.inFlight.size < this.options.maxInFlight) this.send(pending);
      else this.queue.push(pending);
    });
  }

  close(): Promise<void> {
    this.closing ??= this.drainAndLeave();
    return this.closing;
  }

  async leave(reason: Error): Promise<void> {
    const { link } = this.options;
    this.refusal ??= reason;
    for (const pending of this.queue.splice(0)) pending.reject(reason);
    const timer = setTimeout(() => link.destroy(reason), LEAVE_MS);
    await this.close();
    clearTimeout(timer);
  }

  private async drainAndLeave(): Promise<void> {
    if (this.failure) return;
    if (this.inFlight.size > 0) {
      await new Promise<void>((resolve) => {
        this.onDrained = resolve;
      });
    }
    const disconnect = { command: COMMAND.disconnect, flags: 0, offset: 0, length: 0 };
    this.options.link.send(encodeRequest(disconnect, 0));
    await this.options.link.finish(CLOSE_MS);
  }

  private send(pending: Pending): void {
    const cookie = this.takeCookie();
    pending.sentAtLook = this.looks;
    this.inFlight.set(cookie, pending);
    const header = encodeRequest(pending.request, cookie);
    if (pending.request.payload) this.options.link.send(header, pending.request.payload);
    else this.options.link.send(header);
  }

  private takeCookie(): number {
    while (this.inFlight.has(this.nextCookie)) this.nextCookie = (this.nextCookie + 1) >>> 0;
    const cookie = this.nextCookie;
    this.nextCookie = (this.nextCookie + 1) >>> 0;
    return cookie;
  }

  private settle(cookie: number): void {
    const pending = this.inFlight.get(cookie);
    if (!pending) return;
    this.inFlight.delete(cookie);
    this.answers++;
    pending.resolve(pending.expectation);
    const next = this.queue.shift();
    if (next) this.send(next);
    else if (this.inFlight.size === 0) this.onDrained?.();
  }

  private look(): void {
    this.looks++;
    const { link, requestTimeoutMs } = this.options;
    const owes = this.inFlight.size > 0;
    const movedBytes = this.receivedBytes + link.sentBytes();
    const fault = this.rule.look({ owes, answers: this.answers, movedBytes });
    const oldest = this.inFlight.values().next().value;
    if (fault) link.destroy(connectionLost(fault));
    else if (oldest && this.looks - oldest.sentAtLook > MAX_PERIODS * LOOKS) {
      const ms = MAX_PERIODS * requestTimeoutMs;
      link.destroy(connectionLost(`The NBD server did not answer a request within ${ms} ms.`));
    }
  }

  private end(reason: Error): void {
    this.failure = reason;
    clearInterval(this.timer);
    const waiting = [...this.inFlight.values(), ...this.queue];
    this.inFlight.clear();
    this.queue = [];
    for (const pending of waiting) pending.reject(reason);
    this.onDrained?.();
    this.options.onEnd();
  }
}

/** The 28 bytes of a request: magic, flags, command, cookie, offset, length. */
function encodeRequest(request: NbdRequest, cookie: number): Buffer {
  const header = Buffer.allocUnsafe(28);
  header.writeUInt32BE(REQUEST_MAGIC, 0);
  header.writeUInt16BE(request.flags, 4);
  header.writeUInt16BE(request.command, 6);
  header.writeUInt32BE(0, 8);
  header.writeUInt32BE(cookie, 12);
  header.writeUInt32BE(Math.floor(request.offset / 0x100000000), 16);
  header.writeUInt32BE(request.offset % 0x100000000, 20);
  header.writeUInt32BE(request.length, 24);
  return header;
}
