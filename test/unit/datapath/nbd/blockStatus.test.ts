import { expect } from 'chai';
import * as fc from 'fast-check';
import {
  type AskStatus,
  decodeStatus,
  STATUS_WINDOW,
  statusOfRange,
} from '../../../../src/datapath/nbd/blockStatus.js';
import { u32 } from '../../../helpers/nbdWire.js';

const pairs = (list: [number, number][]) => Buffer.concat(list.flatMap((pair) => pair.map(u32)));

const failAfterFirst: AskStatus = async (offset, length) => {
  if (offset > 0) throw new Error('second window');
  return { offset, length, descriptors: pairs([[length, 0]]) };
};

describe('Block status', () => {
  it('is clipped to the range, and neighbours of equal flags are merged', () => {
    const descriptors = pairs([
      [10, 0],
      [10, 0],
      [30, 3],
      [100, 0],
    ]);
    expect([...decodeStatus({ offset: 1000, length: 60, descriptors })]).to.deep.equal([
      { offset: 1000, length: 20, flags: 0 },
      { offset: 1020, length: 30, flags: 3 },
      { offset: 1050, length: 10, flags: 0 },
    ]);
  });

  it('of a whole range is complete, in order and merged, however little each reply covers', async () => {
    const cut = fc.record({
      flags: fc.array(fc.integer({ min: 0, max: 1 }), { minLength: 1, maxLength: 60 }),
      atOnce: fc.integer({ min: 1, max: 5 }),
    });
    await fc.assert(
      fc.asyncProperty(cut, async ({ flags, atOnce }) => {
        const unit = STATUS_WINDOW / 8;
        const ask: AskStatus = async (offset, length) => {
          const list: [number, number][] = [];
          for (let at = offset; at < offset + length && list.length < atOnce; at += unit)
            list.push([unit, flags[at / unit] ?? 0]);
          return { offset, length, descriptors: pairs(list) };
        };
        const seen: number[] = [];
        let last: number | undefined;
        for await (const extent of statusOfRange({ offset: 0, length: flags.length * unit }, 1, ask)) {
          expect(extent.offset).to.equal(seen.length * unit);
          expect(extent.flags).not.to.equal(last);
          last = extent.flags;
          for (let at = 0; at < extent.length; at += unit) seen.push(extent.flags);
        }
        expect(seen).to.deep.equal(flags);
      }),
    );
  });

  it('asks a few windows ahead but never more than four', async () => {
    let asked = 0;
    const ask: AskStatus = async (offset, length) => {
      asked++;
      return { offset, length, descriptors: pairs([[length, (offset / STATUS_WINDOW) % 2]]) };
    };
    let taken = 0;
    for await (const extent of statusOfRange({ offset: 0, length: 100 * STATUS_WINDOW }, 1, ask)) {
      expect(extent.length).to.equal(STATUS_WINDOW);
      taken++;
      expect(asked).to.be.at.most(taken + 5);
    }
    expect([taken, asked]).to.deep.equal([100, 100]);
  });

  it('throws a failure of a window asked ahead when its turn comes, and not as an unhandled rejection', async () => {
    let caught: unknown;
    try {
      for await (const extent of statusOfRange({ offset: 0, length: 3 * STATUS_WINDOW }, 1, failAfterFirst))
        expect(extent.offset).to.equal(0);
    } catch (error) {
      caught = error;
    }
    expect(caught).to.have.property('message', 'second window');
  });

  it('never asks from within a block, whatever a reply covers of it, and tells each byte once', async () => {
    const asked: number[] = [];
    // Two extents of 4 KiB and 64 KiB a reply, where requests must begin at multiples of 64 KiB.
    const ask: AskStatus = async (offset, length) => {
      asked.push(offset % 65536);
      return {
        offset,
        length,
        descriptors: pairs([
          [4096, 0],
          [65536, 3],
        ]),
      };
    };
    let told = 0;
    for await (const { offset, length } of statusOfRange({ offset: 0, length: 4 * 65536 }, 65536, ask)) {
      expect(offset).to.equal(told);
      told += length;
    }
    expect(told).to.equal(4 * 65536);
    expect(asked).to.deep.equal([0, 0, 0, 0]);
  });

  it('that covers not even one block ends as a breach of the protocol, not in a circle', async () => {
    const ask: AskStatus = async (offset, length) => ({ offset, length, descriptors: pairs([[512, 0]]) });
    let code: unknown;
    try {
      for await (const _ of statusOfRange({ offset: 0, length: 65536 }, 4096, ask)) continue;
    } catch (error) {
      code = (error as { code?: unknown }).code;
    }
    expect(code).to.equal('nbd_protocol_error');
  });
});
