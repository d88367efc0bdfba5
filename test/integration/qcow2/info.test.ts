import { expect } from 'chai';
import { chainInfo, createImage, imageInfo, rebaseImage } from '../../../src/qcow2/index.js';
import { MiB, rejection, run, tempDir } from './images.js';

describe('imageInfo and chainInfo', () => {
  let temp: Awaited<ReturnType<typeof tempDir>>;
  beforeEach(async () => {
    temp = await tempDir();
    await createImage(temp.at('full.qcow2'), { virtualSizeBytes: 4 * MiB });
    const backing = { name: 'full.qcow2', format: 'qcow2' } as const;
    await createImage(temp.at('inc.qcow2'), { virtualSizeBytes: 8 * MiB, backing });
  });
  afterEach(() => temp.remove());

  it('describes an overlay without opening its backing file', async () => {
    await run('rm', [temp.at('full.qcow2')]);
    const info = await imageInfo({ type: 'file', path: temp.at('inc.qcow2'), format: 'qcow2' });
    expect(info).to.include({
      filename: temp.at('inc.qcow2'),
      format: 'qcow2',
      virtualSizeBytes: 8 * MiB,
      backingName: 'full.qcow2',
      backingFormat: 'qcow2',
      fullBackingName: temp.at('full.qcow2'),
      clusterSize: 65536,
      compat: '1.1',
      dirty: false,
      corrupt: false,
      encrypted: false,
    });
    expect(info.bitmaps).to.deep.equal([]);
  });

  it('lists persistent bitmaps', async () => {
    await run('qemu-img', ['bitmap', '--add', '-f', 'qcow2', temp.at('full.qcow2'), 'cbt']);
    const info = await imageInfo({
      type: 'file',
      path: temp.at('full.qcow2'),
      format: 'qcow2',
      noBacking: true,
    });
    expect(info.bitmaps).to.deep.equal([{ name: 'cbt', granularityBytes: 65536, flags: ['auto'] }]);
  });

  it('names the extents of a split VMDK by absolute path', async () => {
    const path = temp.at('disk.vmdk');
    await run('qemu-img', ['create', '-q', '-f', 'vmdk', '-o', 'subformat=twoGbMaxExtentSparse', path, '3G']);
    const info = await imageInfo({ type: 'file', path, format: 'vmdk' });
    expect(info.extents?.map(({ filename }) => filename)).to.deep.equal([
      temp.at('disk-s001.vmdk'),
      temp.at('disk-s002.vmdk'),
    ]);
  });

  it('opens paths with blanks, commas, quotes and colons as what they are', async () => {
    const path = temp.at('nbd:a, "b" =c:.qcow2');
    await createImage(path, { virtualSizeBytes: MiB });
    const plain = await imageInfo({ type: 'file', path, format: 'qcow2' });
    const alone = await imageInfo({ type: 'file', path, format: 'qcow2', noBacking: true });
    expect([plain.virtualSizeBytes, alone.virtualSizeBytes]).to.deep.equal([MiB, MiB]);
  });

  it('lists a chain top first', async () => {
    const chain = await chainInfo(temp.at('inc.qcow2'));
    expect(chain.map(({ filename }) => filename)).to.deep.equal([
      temp.at('inc.qcow2'),
      temp.at('full.qcow2'),
    ]);
  });

  it('says file_missing when a file of the chain is missing', async () => {
    await run('rm', [temp.at('full.qcow2')]);
    await rejection(chainInfo(temp.at('inc.qcow2')), 'file_missing');
  });

  it('says chain_broken for a chain that is a loop', async () => {
    await rebaseImage(temp.at('full.qcow2'), {
      backing: { name: 'inc.qcow2', format: 'qcow2' },
      unsafe: true,
    });
    await rejection(chainInfo(temp.at('inc.qcow2')), 'chain_broken');
  });

  it('says unknown_format when the file is of another format', async () => {
    await rejection(
      imageInfo({ type: 'file', path: temp.at('full.qcow2'), format: 'vmdk' }),
      'unknown_format',
    );
  });

  it('refuses a relative path', async () => {
    await rejection(imageInfo({ type: 'file', path: 'full.qcow2', format: 'qcow2' }), 'path_not_allowed');
  });
});
