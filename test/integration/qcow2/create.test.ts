import { readFile, writeFile } from 'node:fs/promises';
import { expect } from 'chai';
import { createImage, imageInfo, measureImage, resizeImage } from '../../../src/qcow2/index.js';
import { guestRead, guestWrite, MiB, rejection, tempDir } from './images.js';

describe('createImage, resizeImage and measureImage', () => {
  let temp: Awaited<ReturnType<typeof tempDir>>;
  beforeEach(async () => {
    temp = await tempDir();
    await createImage(temp.at('full.qcow2'), { virtualSizeBytes: 4 * MiB });
  });
  afterEach(() => temp.remove());

  it('creates an overlay whose guest reads the backing file', async () => {
    await guestWrite(temp.at('full.qcow2'), 7, 0, 65536);
    const backing = { name: 'full.qcow2', format: 'qcow2' } as const;
    await createImage(temp.at('inc.qcow2'), { virtualSizeBytes: 4 * MiB, backing });
    await guestRead(temp.at('inc.qcow2'), 7, 0, 65536);
  });

  it('never writes over an existing file', async () => {
    await writeFile(temp.at('kept'), 'precious');
    await rejection(createImage(temp.at('kept'), { virtualSizeBytes: MiB }), 'file_exists');
    expect(await readFile(temp.at('kept'), 'utf8')).to.equal('precious');
  });

  it('says file_missing when the backing file is missing', async () => {
    const backing = { name: 'nowhere.qcow2', format: 'qcow2' } as const;
    await rejection(createImage(temp.at('inc.qcow2'), { virtualSizeBytes: MiB, backing }), 'file_missing');
  });

  for (const name of [
    '/etc/passwd',
    '../full.qcow2',
    'nbd:localhost:1',
    'json:{}',
    '',
    '..',
    'a\nb',
    'x'.repeat(1024),
  ]) {
    it(`refuses ${JSON.stringify(name.slice(0, 20))} as the name of a backing file`, async () => {
      const backing = { name, format: 'qcow2' } as const;
      await rejection(createImage(temp.at('inc.qcow2'), { virtualSizeBytes: MiB, backing }), 'invalid_name');
    });
  }

  for (const size of [0, -512, 1000, 1.5, Number.NaN, 2 ** 60]) {
    it(`refuses a disk of ${size} bytes`, async () => {
      await rejection(createImage(temp.at('new.qcow2'), { virtualSizeBytes: size }), 'size_not_aligned');
    });
  }

  it('grows a disk, and refuses to shrink it', async () => {
    await resizeImage(temp.at('full.qcow2'), 'qcow2', 8 * MiB);
    const error = await rejection(resizeImage(temp.at('full.qcow2'), 'qcow2', MiB), 'invalid_request');
    expect(error.details).to.include({ tool: 'qemu-img', exitCode: 1 });
    const info = await imageInfo({ type: 'file', path: temp.at('full.qcow2'), format: 'qcow2' });
    expect(info.virtualSizeBytes).to.equal(8 * MiB);
  });

  it('measures what a conversion would take', async () => {
    await guestWrite(temp.at('full.qcow2'), 7, 0, MiB);
    const ref = { type: 'file', path: temp.at('full.qcow2'), format: 'qcow2' } as const;
    const { requiredBytes, fullyAllocatedBytes } = await measureImage(ref, 'qcow2');
    expect(requiredBytes).to.be.within(MiB, 2 * MiB);
    expect(fullyAllocatedBytes).to.be.within(4 * MiB, 5 * MiB);
  });
});
