import { expect } from 'chai';
import { isPrivate } from '../../../../src/services/restore/targetDirectory.js';

const EXT4 = 0xef53;
const CIFS = 0xff534d42;
const mine = process.geteuid?.() ?? 0;

describe('The directory of an attempt to restore', () => {
  it('is not taken for exchanged on a share, whose mount gives every directory its own owner and mode', () => {
    expect(isPrivate({ uid: mine + 1, mode: 0o040755 }, CIFS)).to.equal(true);
  });

  it("is nobody else's on a file system that heeds owners and modes", () => {
    expect(isPrivate({ uid: mine, mode: 0o040700 }, EXT4)).to.equal(true);
    expect(isPrivate({ uid: mine, mode: 0o040755 }, EXT4)).to.equal(false);
    expect(isPrivate({ uid: mine + 1, mode: 0o040700 }, EXT4)).to.equal(false);
  });
});
