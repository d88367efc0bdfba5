import { expect } from 'chai';
import { setTimeout as sleep } from 'node:timers/promises';
import { eachPiece } from '../../../../src/datapath/nbd/pieces.js';

describe('eachPiece', () => {
  it('covers the range exactly, in order, with at most so many pieces at a time', async () => {
    const pieces: [number, number][] = [];
    let running = 0;
    let most = 0;
    await eachPiece({ offset: 5, length: 103 }, 10, 4, async (offset, length) => {
      pieces.push([offset, length]);
      most = Math.max(most, ++running);
      await sleep(1);
      running--;
    });
    expect(most).to.equal(4);
    expect(pieces).to.deep.equal(Array.from({ length: 11 }, (_, i) => [5 + i * 10, i === 10 ? 3 : 10]));
  });

  it('does nothing for an empty range', async () => {
    await eachPiece({ offset: 5, length: 0 }, 10, 4, () => Promise.reject(new Error('called')));
  });

  it('throws the first failure only when no piece runs any more, and begins no further one', async () => {
    let running = 0;
    let begun = 0;
    const work = async (offset: number) => {
      begun++;
      running++;
      await sleep(offset === 10 ? 1 : 20);
      running--;
      if (offset === 10) throw new Error('piece 10');
    };
    let caught: unknown;
    await eachPiece({ offset: 0, length: 1000 }, 10, 4, work).catch((error: unknown) => (caught = error));
    expect(caught).to.have.property('message', 'piece 10');
    expect(running).to.equal(0);
    expect(begun).to.equal(4);
  });
});
