import { expect } from 'chai';
import * as fc from 'fast-check';
import type { Expectation } from '../../../../src/datapath/nbd/expectation.js';
import { createReplyParser } from '../../../../src/datapath/nbd/replyParser.js';
import { isStrataError } from '../../../../src/shared/errors.js';
import { build, type Case, CONTEXT, cuts, type Plan, picks, plans, STALE, streamOf } from './replyPlans.js';

interface Outcome {
  done: number[];
  failed: boolean;
  cases: Case[];
}

/** Feeds the stream cut to the given lengths, every second piece through the direct target where there is one. */
function feed(plans: readonly Plan[], stream: Buffer, cuts: readonly number[]): Outcome {
  const cases = plans.map((plan, index) => build(plan, index + 1));
  const outstanding = new Map(cases.map(({ expectation }, index) => [index + 1, expectation]));
  const done: number[] = [];
  const parser = createReplyParser({
    rules: { structured: true, sizeBytes: 100_000, contextIds: new Set([CONTEXT]) },
    find: (cookie) => outstanding.get(cookie),
    done: (_, cookie) => {
      outstanding.delete(cookie);
      done.push(cookie);
    },
  });
  try {
    for (let at = 0, turn = 0; at < stream.length; turn++) {
      const cut = Math.min(cuts[turn % cuts.length] ?? 1, stream.length - at);
      const direct = turn % 2 === 0 ? parser.directTarget() : undefined;
      if (direct) {
        const bytes = stream.copy(direct, 0, at, at + cut);
        parser.directFilled(bytes);
        at += bytes;
      } else {
        // The parser may not keep the chunk: the same memory is used for the next read of a socket.
        const chunk = Buffer.from(stream.subarray(at, at + cut));
        parser.push(chunk);
        chunk.fill(STALE);
        at += cut;
      }
    }
    return { done, failed: false, cases };
  } catch (error) {
    expect(isStrataError(error, 'nbd_protocol_error'), String(error)).to.equal(true);
    return { done, failed: true, cases };
  }
}

function caseAt(cases: readonly Case[], index: number): Case {
  const found = cases[index];
  if (!found) throw new Error(`There is no case ${index}.`);
  return found;
}

const answerOf = (expectation?: Expectation) => [
  expectation?.target,
  expectation?.status,
  expectation?.failure,
];

function checkAnswers({ done, cases }: Outcome): void {
  for (const cookie of done) {
    const { expectation } = caseAt(cases, cookie - 1);
    if (!expectation.failure && expectation.target)
      expect(expectation.target.includes(STALE)).to.equal(false);
  }
}

describe('Reply parser, fuzzed', () => {
  it('understands every interleaving of valid replies, cut anywhere', () => {
    fc.assert(
      fc.property(plans, picks, cuts, (plans, picks, cuts) => {
        const outcome = feed(plans, streamOf(plans, picks), cuts);
        expect(outcome.failed).to.equal(false);
        expect(outcome.done.toSorted((a, b) => a - b)).to.deep.equal(plans.map((_, index) => index + 1));
        for (const [index, plan] of plans.entries()) {
          const { expectation, wanted } = caseAt(outcome.cases, index);
          const fails =
            plan.kind === 'read' ? plan.ending === 'error' : plan.kind === 'write' && plan.errno !== 0;
          expect(expectation.failure !== undefined).to.equal(fails);
          if (wanted) expect(expectation.target?.equals(wanted)).to.equal(true);
          if (plan.kind === 'status') expect(expectation.status?.length).to.equal(plan.extents.length * 8);
        }
      }),
      { numRuns: 2000 },
    );
  });

  it('answers a damaged stream with nbd_protocol_error or complete data, the same however it is cut', () => {
    const value = fc.nat(255).filter((byte) => byte !== STALE);
    const mutation = fc.record({
      kind: fc.constantFrom('set', 'insert', 'delete', 'truncate'),
      at: fc.nat(),
      value,
    });
    fc.assert(
      fc.property(
        plans,
        picks,
        cuts,
        fc.array(mutation, { minLength: 1, maxLength: 4 }),
        (plans, picks, cuts, mutations) => {
          const bytes = [...streamOf(plans, picks)];
          for (const { kind, at, value } of mutations) {
            const index = at % (bytes.length + 1);
            if (kind === 'set' && index < bytes.length) bytes[index] = value;
            else if (kind === 'insert') bytes.splice(index, 0, value);
            else if (kind === 'delete') bytes.splice(index, 1);
            else if (kind === 'truncate') bytes.length = index;
          }
          const stream = Buffer.from(bytes);
          const cut = feed(plans, stream, cuts);
          const whole = feed(plans, stream, [stream.length || 1]);
          checkAnswers(cut);
          checkAnswers(whole);
          expect([cut.done, cut.failed]).to.deep.equal([whole.done, whole.failed]);
          for (const [index, { expectation }] of cut.cases.entries())
            if (cut.done.includes(index + 1))
              expect(answerOf(expectation)).to.deep.equal(answerOf(whole.cases[index]?.expectation));
        },
      ),
      { numRuns: 5000 },
    );
  });

  it('survives random bytes that begin like replies, without allocating what they announce', () => {
    const word = fc.oneof(
      fc.constantFrom(
        '67446698',
        '668e33ef',
        '0000000000000001',
        '0000000000000002',
        '00010001',
        '00010005',
        '00018001',
        'ffffffff',
        '00000000',
        '00000008',
      ),
      fc.uint8Array({ maxLength: 12 }).map((bytes) => Buffer.from(bytes).toString('hex')),
    );
    const before = process.memoryUsage().arrayBuffers;
    fc.assert(
      fc.property(plans, fc.array(word, { maxLength: 30 }), cuts, (plans, words, cuts) => {
        checkAnswers(feed(plans, Buffer.from(words.join(''), 'hex'), cuts));
      }),
      { numRuns: 5000 },
    );
    expect(process.memoryUsage().arrayBuffers - before).to.be.below(64 * 1024 * 1024);
  });
});
