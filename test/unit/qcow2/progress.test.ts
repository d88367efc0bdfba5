import { expect } from 'chai';
import { progressReader } from '../../../src/qcow2/progress.js';

const read = (...pieces: string[]): number[] => {
  const seen: number[] = [];
  const reader = progressReader((percent) => seen.push(percent));
  for (const piece of pieces) reader(piece);
  return seen;
};

describe('progressReader', () => {
  it('reports the last number of each piece', () => {
    expect(read('    (0.00/100%)\r    (1.50/100%)\r', '    (100.00/100%)\r\n')).to.deep.equal([1.5, 100]);
  });

  it('reports a number that arrives in two pieces once', () => {
    expect(read('    (12.', '34/100%)\r', '    (56', '.00/1', '00%)\r')).to.deep.equal([12.34, 56]);
  });

  it('never goes back nor repeats', () => {
    expect(read('(50.00/100%)', '(40.00/100%)', '(50.00/100%)', '(51.00/100%)')).to.deep.equal([50, 51]);
  });

  it('ignores other output', () => {
    expect(read('Image committed.\n')).to.deep.equal([]);
  });
});
