import { truncate, writeFile } from 'node:fs/promises';
import { expect } from 'chai';
import { checkImage, createImage } from '../../../src/qcow2/index.js';
import { guestWrite, MiB, patch, rejection, run, tempDir } from './images.js';

describe('checkImage', () => {
  let temp: Awaited<ReturnType<typeof tempDir>>;
  let path: string;
  beforeEach(async () => {
    temp = await tempDir();
    path = temp.at('full.qcow2');
    await createImage(path, { virtualSizeBytes: 4 * MiB });
    await guestWrite(path, 7, 0, MiB);
  });
  afterEach(() => temp.remove());

  it('finds a healthy image clean, and counts its clusters', async () => {
    const result = await checkImage(path);
    expect(result).to.include({ clean: true, corruptions: 0, leaks: 0, checkErrors: 0 });
    expect(result).to.include({ allocatedClusters: 16, totalClusters: 64 });
    expect(result.imageEndOffset).to.be.greaterThan(MiB);
  });

  it('does not need the backing file', async () => {
    const overlay = temp.at('inc.qcow2');
    await createImage(overlay, {
      virtualSizeBytes: 4 * MiB,
      backing: { name: 'full.qcow2', format: 'qcow2' },
    });
    await run('rm', [path]);
    expect((await checkImage(overlay)).clean).to.equal(true);
  });

  it('tells leaks from corruption', async () => {
    // The table of reference counts names its first block, at 128 KiB; entry 60 is of a cluster beyond the file's end.
    const leaking = Buffer.from([0, 1]);
    await patch(path, 2 * 65536 + 2 * 20, leaking);
    const { stdout } = await run('stat', ['-c', '%s', path]);
    await truncate(path, Math.max(Number(stdout), 21 * 65536));
    await patch(path, 2 * 65536 + 2 * 24, leaking);
    await truncate(path, 25 * 65536);
    const result = await checkImage(path);
    expect(result).to.include({ clean: false, corruptions: 0 });
    expect(result.leaks).to.be.greaterThan(0);
  });

  it('reports corruption as a result', async () => {
    // Reference count 0 of a cluster that the L2 table uses.
    await patch(path, 2 * 65536 + 2 * 6, Buffer.from([0, 0]));
    const result = await checkImage(path);
    expect(result.clean).to.equal(false);
    expect(result.corruptions).to.be.greaterThan(0);
  });

  it('throws when the file cannot be opened, which is no verdict on its content', async () => {
    await writeFile(temp.at('garbage'), Buffer.alloc(65536, 'x'));
    await rejection(checkImage(temp.at('garbage')), 'unknown_format');
    await rejection(checkImage(temp.at('nowhere')), 'file_missing');
  });
});
