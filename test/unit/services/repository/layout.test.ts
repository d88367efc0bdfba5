import { expect } from 'chai';
import {
  backupFiles,
  fenceOfPartial,
  nextSeconds,
  partialFiles,
  secondsOfName,
} from '../../../../src/services/repository/layout.js';

const files = backupFiles({
  vmContextId: 'web-abc',
  vmName: 'Wéb 01',
  diskId: 10,
  seconds: 1700000000,
  type: 'incremental',
});

describe('The layout of a repository', () => {
  it('names a backup by VM, disk, second and type', () => {
    expect(files).to.deep.equal({
      directory: 'web-abc/disk-10',
      image: 'web-abc/disk-10/backup-We_b_01-10-1700000000-incr.qcow2',
      digests: 'web-abc/disk-10/backup-We_b_01-10-1700000000-incr.digests',
      manifest: 'web-abc/disk-10/backup-We_b_01-10-1700000000-incr.json',
    });
  });

  it('gives every fence temporary names of its own', () => {
    const partial = partialFiles(files, 7);
    expect(partial.image).to.equal('web-abc/disk-10/.backup-We_b_01-10-1700000000-incr.qcow2.7.partial');
    expect(fenceOfPartial('.backup-We_b_01-10-1700000000-incr.qcow2.7.partial')).to.equal(7);
    expect(fenceOfPartial('backup-We_b_01-10-1700000000-incr.qcow2')).to.equal(undefined);
  });

  it('lets no VM name look like another disk or second', () => {
    const odd = backupFiles({ vmContextId: 'c', vmName: 'a-1-5-full', diskId: 0, seconds: 9, type: 'full' });
    expect(secondsOfName(odd.image.slice(odd.image.lastIndexOf('/') + 1))).to.equal(9);
  });

  it('never goes back in time: a second that is taken, or later ones in the directory, move the name on', () => {
    const names = ['backup-a-0-100-full.qcow2', 'backup-a-0-105-incr.qcow2', 'notes.txt'];
    expect(nextSeconds(new Date(90_000), names)).to.equal(106);
    expect(nextSeconds(new Date(200_000), names)).to.equal(200);
    expect(nextSeconds(new Date(200_000), [])).to.equal(200);
  });
});
