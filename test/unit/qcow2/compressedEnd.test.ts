import { randomBytes } from 'node:crypto';
import { deflateRawSync } from 'node:zlib';
import { expect } from 'chai';
import { isWholeDeflate, isWholeZstd } from '../../../src/qcow2/qcow2End.js';

describe('A compressed cluster', () => {
  it('that is cut anywhere is not taken for whole: deflate', () => {
    const stream = deflateRawSync(randomBytes(1536));
    expect(isWholeDeflate(stream)).to.equal(true);
    for (let length = 0; length < stream.length; length += 7) {
      expect(isWholeDeflate(stream.subarray(0, length)), String(length)).to.equal(false);
    }
  });

  it('that is cut anywhere is not taken for whole: zstd', () => {
    // RFC 8878: one segment, content size of one byte; a raw block of 5 bytes, then a run of 200 as the last block.
    const raw = [5 << 3, 0, 0, 1, 2, 3, 4, 5];
    const run = [((200 << 3) & 0xff) | 2 | 1, 200 >> 5, 0, 9];
    const frame = Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x20, 205, ...raw, ...run]);
    expect(isWholeZstd(frame)).to.equal(true);
    expect(isWholeZstd(Buffer.concat([frame, Buffer.alloc(9)]))).to.equal(true);
    for (let length = 0; length < frame.length; length++) {
      expect(isWholeZstd(frame.subarray(0, length)), String(length)).to.equal(false);
    }
  });
});
