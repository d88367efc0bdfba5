import * as fc from 'fast-check';
import { COMMAND } from '../../../../src/datapath/nbd/constants.js';
import type { Expectation } from '../../../../src/datapath/nbd/expectation.js';
import {
  DONE,
  dataChunk,
  errorChunk,
  holeChunk,
  noneChunk,
  simpleReply,
  statusChunk,
} from '../../../helpers/nbdWire.js';

/** Fills targets before the reply. Neither data nor mutations contain it, so that it shows memory which no reply has written. */
export const STALE = 0xee;
export const CONTEXT = 3;

/** How a reply looks: reads as pieces in some order, the rest as one or more chunks. */
export type Plan =
  | {
      kind: 'read';
      pieces: { length: number; hole: boolean; rank: number }[];
      ending: 'flag' | 'none' | 'error';
    }
  | { kind: 'status'; extents: [number, number][] }
  | { kind: 'write'; structured: boolean; errno: number };

const plan: fc.Arbitrary<Plan> = fc.oneof(
  fc.record({
    kind: fc.constant('read' as const),
    pieces: fc.array(
      fc.record({ length: fc.integer({ min: 1, max: 30 }), hole: fc.boolean(), rank: fc.nat() }),
      {
        minLength: 1,
        maxLength: 6,
      },
    ),
    ending: fc.constantFrom('flag' as const, 'none' as const, 'error' as const),
  }),
  fc.record({
    kind: fc.constant('status' as const),
    extents: fc.array(fc.tuple(fc.integer({ min: 1, max: 30 }), fc.nat(3)), { minLength: 1, maxLength: 6 }),
  }),
  fc.record({
    kind: fc.constant('write' as const),
    structured: fc.boolean(),
    errno: fc.constantFrom(0, 5, 28),
  }),
);

export interface Case {
  expectation: Expectation;
  /** Chunks in order; chunks of other replies may come between them. */
  chunks: Buffer[];
  wanted?: Buffer;
}

export function build(plan: Plan, cookie: number): Case {
  const offset = cookie * 1000;
  if (plan.kind === 'write') {
    const { structured, errno } = plan;
    const whole = errno === 0 ? noneChunk(cookie) : errorChunk(cookie, errno, 'x');
    const expectation = { command: COMMAND.write, offset, length: 10 };
    return { expectation, chunks: [structured ? whole : simpleReply(cookie, errno)] };
  }
  if (plan.kind === 'status') {
    const length = plan.extents.reduce((sum, [bytes]) => sum + bytes, 0);
    const expectation = { command: COMMAND.blockStatus, offset, length, contextId: CONTEXT };
    return { expectation, chunks: [statusChunk(cookie, CONTEXT, plan.extents)] };
  }
  return buildRead(plan, cookie, offset);
}

function buildRead(plan: Plan & { kind: 'read' }, cookie: number, offset: number): Case {
  let at = 0;
  const placed = plan.pieces.map((piece) => {
    const start = at;
    at += piece.length;
    return { ...piece, start };
  });
  const wanted = Buffer.alloc(at);
  const ordered = placed.toSorted((a, b) => a.rank - b.rank);
  const chunks = ordered.map(({ start, length, hole }, index) => {
    const flags = plan.ending === 'flag' && index === ordered.length - 1 ? DONE : 0;
    if (hole) return holeChunk(cookie, offset + start, length, flags);
    const data = wanted.subarray(start, start + length).fill(1 + ((cookie * 7 + index) % 200));
    return dataChunk(cookie, offset + start, data, flags);
  });
  if (plan.ending === 'none') chunks.push(noneChunk(cookie));
  if (plan.ending === 'error') chunks.push(errorChunk(cookie, 5, 'bad', DONE, offset));
  const target = Buffer.alloc(at, STALE);
  return { expectation: { command: COMMAND.read, offset, length: at, target }, chunks, wanted };
}

/** Interleaves the chunks of all replies by `picks`, keeping the order within each reply. */
function interleave(cases: readonly Case[], picks: readonly number[]): Buffer {
  const queues = cases.map(({ chunks }) => [...chunks]);
  const stream: Buffer[] = [];
  for (let turn = 0; queues.some((queue) => queue.length > 0); turn++) {
    const open = queues.filter((queue) => queue.length > 0);
    const chunk = open[(picks[turn % picks.length] ?? 0) % open.length]?.shift();
    if (chunk) stream.push(chunk);
  }
  return Buffer.concat(stream);
}

export const plans = fc.array(plan, { minLength: 1, maxLength: 5 });
export const picks = fc.array(fc.nat(10), { minLength: 1, maxLength: 10 });
export const cuts = fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 10 });
export const streamOf = (plans: Plan[], picks: number[]) =>
  interleave(
    plans.map((plan, index) => build(plan, index + 1)),
    picks,
  );
