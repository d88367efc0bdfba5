import { expect } from 'chai';
import fc from 'fast-check';
import { DIGEST_BYTES, type DigestRun } from '../../../../src/datapath/digests/index.js';
import { compareLayer } from '../../../../src/datapath/engine/compareLayer.js';

const BLOCKS = 24;

/** What a side has of each block: `-` nothing, `0` zeros, else data. */
const side = fc.array(fc.constantFrom('-', '0', 'a', 'b'), { minLength: BLOCKS, maxLength: BLOCKS });
const pieces = fc.array(fc.boolean(), { minLength: BLOCKS, maxLength: BLOCKS });

/** The blocks as runs, cut anywhere. */
async function* runsOf(blocks: readonly string[], cuts: readonly boolean[]): AsyncGenerator<DigestRun> {
  let at = 0;
  while (at < blocks.length) {
    const start = at++;
    const isData = (block: string | undefined) => block === 'a' || block === 'b';
    if (blocks[start] === '-') continue;
    while (
      at < blocks.length &&
      !cuts[at] &&
      blocks[at] !== '-' &&
      isData(blocks[at]) === isData(blocks[start])
    )
      at++;
    const count = at - start;
    if (blocks[start] === '0') yield { kind: 'zero', first: start, count };
    else {
      const digests = Buffer.concat(
        blocks.slice(start, at).map((block) => Buffer.alloc(DIGEST_BYTES, block)),
      );
      yield { kind: 'data', first: start, count, digests };
    }
  }
}

describe('the comparison of a file with its digest index', () => {
  it('finds every block that differs or stands alone, and no other, however the runs are cut', async () => {
    await fc.assert(
      fc.asyncProperty(
        side,
        side,
        pieces,
        pieces,
        fc.nat({ max: BLOCKS }),
        async (a, b, cutsA, cutsB, from) => {
          const found = Array.from({ length: BLOCKS }, () => '');
          let upTo = from;
          for await (const step of compareLayer(runsOf(a, cutsA), runsOf(b, cutsB), from)) {
            expect(step.upTo).to.be.greaterThan(upTo);
            for (const difference of step.differences) {
              const range =
                difference.kind === 'wrong'
                  ? difference.range
                  : { first: difference.run.first, end: difference.run.first + difference.run.count };
              expect(range.first).to.be.at.least(upTo);
              expect(range.end).to.be.at.most(step.upTo);
              found.fill(difference.kind, range.first, range.end);
            }
            upTo = step.upTo;
          }
          const expected = a.map((block, i) => {
            if (i < from || block === b[i]) return '';
            return block === '-' || b[i] === '-' ? 'alone' : 'wrong';
          });
          expect(found).to.deep.equal(expected);
        },
      ),
    );
  });
});
