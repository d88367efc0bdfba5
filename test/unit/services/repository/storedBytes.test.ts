import { expect } from 'chai';
import { storedBytes } from '../../../../src/services/repository/durable.js';

const blksize = 4096;

describe('storedBytes', () => {
  it('does not count what a file system has allocated behind the end of a file', () => {
    const preallocated = { size: 200_000, blocks: 1024, blksize };
    expect(storedBytes(preallocated)).to.equal(49 * 4096);
  });

  it('counts no holes', () => {
    expect(storedBytes({ size: 1024 ** 3, blocks: 16, blksize })).to.equal(8192);
  });

  it('counts all of a file without holes, its last block whole', () => {
    expect(storedBytes({ size: 4097, blocks: 16, blksize })).to.equal(8192);
    expect(storedBytes({ size: 0, blocks: 0, blksize })).to.equal(0);
  });
});
