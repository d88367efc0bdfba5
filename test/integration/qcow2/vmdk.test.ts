import { randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { expect } from 'chai';
import { compareImages, imageInfo, inspectUntrusted } from '../../../src/qcow2/index.js';
import { MiB, patch, randomImage, rejection, run, tempDir } from './images.js';

describe('A VMDK', () => {
  let temp: Awaited<ReturnType<typeof tempDir>>;
  beforeEach(async () => {
    temp = await tempDir();
    await writeFile(temp.at('a.raw'), randomBytes(MiB));
    await writeFile(temp.at('b.raw'), randomBytes(MiB));
  });
  afterEach(() => temp.remove());

  /** A text descriptor with these extents, whose lines follow a comment as VMware's do. */
  const describeExtents = async (...lines: string[]): Promise<string> => {
    const head = ['# Disk DescriptorFile', 'version=1', 'CID=fffffffe', 'parentCID=ffffffff'];
    const text = [...head, 'createType="twoGbMaxExtentFlat"', '', '# Extent description', ...lines, ''];
    await writeFile(temp.at('disk.vmdk'), text.join('\n'));
    return temp.at('disk.vmdk');
  };
  const sizeToQemu = async (path: string) =>
    (await imageInfo({ type: 'file', path, format: 'vmdk' })).virtualSizeBytes;

  it('of several flat extents is read in their order, each from its place in its file', async () => {
    const path = await describeExtents('RW 1024 FLAT "a.raw" 1024', 'RW 2048 VMFS "b.raw"');
    const info = await inspectUntrusted(path, 'vmdk');
    expect(info.virtualSizeBytes).to.equal(1536 * 1024);
    expect(info.extents?.map(({ fileOffsetBytes }) => fileOffsetBytes)).to.deep.equal([512 * 1024, 0]);
    const raw = [(await readFile(temp.at('a.raw'))).subarray(512 * 1024), await readFile(temp.at('b.raw'))];
    await writeFile(temp.at('whole.raw'), Buffer.concat(raw));
    const whole = { type: 'file', path: temp.at('whole.raw'), format: 'raw' } as const;
    expect((await compareImages({ type: 'file', path, format: 'vmdk' }, whole)).identical).to.equal(true);
  });

  for (const line of ['RW 2048 ZERO', 'RDONLY 2048 FLAT "b.raw" 0', 'NOACCESS 2048 FLAT "b.raw" 0']) {
    it(`whose extent QEMU drops is not read with all behind it moved up: ${line}`, async () => {
      const path = await describeExtents('RW 2048 FLAT "a.raw" 0', line, 'RW 2048 FLAT "b.raw" 0');
      expect(await sizeToQemu(path), 'QEMU drops it without an error').to.equal(2 * MiB);
      const error = await rejection(inspectUntrusted(path, 'vmdk'), 'source_unsupported');
      expect(error.message).to.contain(line.split(' ').slice(0, 3).join(' '));
    });
  }

  it('with an extent after a blank line is not read with that extent twice', async () => {
    const path = await describeExtents('', 'RW 2048 FLAT "a.raw" 0', 'RW 2048 FLAT "b.raw" 0');
    expect(await sizeToQemu(path), 'QEMU reads it twice').to.equal(3 * MiB);
    const error = await rejection(inspectUntrusted(path, 'vmdk'), 'source_unsupported');
    expect(error.message).to.contain('blank line');
  });

  it('whose sparse extent is shorter or longer than its descriptor says is not read with the next ones moved', async () => {
    const path = temp.at('disk.vmdk');
    await run('qemu-img', ['create', '-q', '-f', 'vmdk', '-o', 'subformat=twoGbMaxExtentSparse', path, '3G']);
    await inspectUntrusted(path, 'vmdk');
    const text = await readFile(path, 'utf8');
    for (const sectors of [4194303, 4194305, 4194304 - 4096]) {
      await writeFile(path, text.replace('RW 4194304', `RW ${sectors}`));
      await rejection(inspectUntrusted(path, 'vmdk'), 'source_unsupported');
    }
  });

  it('whose last sparse extent is rounded up to a whole grain, as VirtualBox writes it, is read', async () => {
    const path = temp.at('disk.vmdk');
    await run('qemu-img', ['create', '-q', '-f', 'vmdk', '-o', 'subformat=twoGbMaxExtentSparse', path, '3G']);
    const text = await readFile(path, 'utf8');
    await writeFile(path, text.replace('RW 2097152', `RW ${2097152 - 127}`));
    expect((await inspectUntrusted(path, 'vmdk')).virtualSizeBytes).to.equal(3 * 1024 * MiB);
    await writeFile(path, text.replace('RW 2097152', `RW ${2097152 - 128}`));
    await rejection(inspectUntrusted(path, 'vmdk'), 'source_unsupported');
  });

  it('of one file that is exported, whose own extent is RDONLY as ovftool and VirtualBox write it, is read', async () => {
    await randomImage(temp.at('raw'), 2 * MiB);
    const path = temp.at('disk.vmdk');
    const options = ['-o', 'subformat=streamOptimized'];
    await run('qemu-img', ['convert', '-f', 'raw', '-O', 'vmdk', ...options, temp.at('raw'), path]);
    const bytes = await readFile(path);
    const at = bytes.indexOf('# Disk DescriptorFile');
    const text = bytes.toString('latin1', at, bytes.indexOf(0, at));
    const stated = (line: string) =>
      patch(path, at, Buffer.from(text.replace(/RW \d+ SPARSE/, line), 'latin1'));
    await stated('RDONLY 4096 SPARSE');
    expect((await inspectUntrusted(path, 'vmdk')).virtualSizeBytes).to.equal(2 * MiB);
    await stated('RDONLY 8192 SPARSE');
    await rejection(inspectUntrusted(path, 'vmdk'), 'source_unsupported');
  });

  it('that is a piece of another is not taken for a disk', async () => {
    const path = temp.at('disk.vmdk');
    await run('qemu-img', ['create', '-q', '-f', 'vmdk', '-o', 'subformat=twoGbMaxExtentSparse', path, '3G']);
    const error = await rejection(inspectUntrusted(temp.at('disk-s001.vmdk'), 'vmdk'), 'source_unsupported');
    expect(error.message).to.contain('Register the descriptor');
  });
});
