import { copyFile, mkdir, readdir, stat, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import {
  compareImages,
  type ImageFormat,
  inspectUntrusted,
  refuseTruncated,
} from '../../../src/qcow2/index.js';
import { isStrataError } from '../../../src/shared/errors.js';
import { MiB, randomImage, rejection, run, tempDir } from './images.js';

const SIZE = 9 * MiB + 1536;

interface Kind {
  format: ImageFormat;
  /** Of qemu-img convert, or of qemu-img create. */
  options?: string;
  compressed?: boolean;
  /** Commands of qemu-io after the image is made. */
  writes?: string[];
}

const KINDS: Record<string, Kind> = {
  QCOW2: { format: 'qcow2' },
  'QCOW2 of version 2': { format: 'qcow2', options: 'compat=0.10' },
  'QCOW2 of 512-byte clusters': { format: 'qcow2', options: 'cluster_size=512' },
  'QCOW2 of 2 MiB clusters': { format: 'qcow2', options: 'cluster_size=2M' },
  'QCOW2 of subclusters': { format: 'qcow2', options: 'extended_l2=on,cluster_size=128k' },
  'compressed QCOW2': { format: 'qcow2', compressed: true },
  'zstd QCOW2 of 4 KiB clusters': {
    format: 'qcow2',
    compressed: true,
    options: 'cluster_size=4k,compression_type=zstd',
  },
  'QCOW2 that a guest has written to': {
    format: 'qcow2',
    options: 'cluster_size=4k',
    writes: [
      'write -P 1 8M 4k',
      'write -z 1M 1M',
      'discard 3M 1M',
      'write -P 2 3M 512',
      `write -P 3 9M 1536`,
    ],
  },
  VDI: { format: 'vdi' },
  'fixed VDI': { format: 'vdi', options: 'static=on' },
  'dynamic VHD': { format: 'vpc', options: 'force_size=on' },
  'fixed VHD': { format: 'vpc', options: 'force_size=on,subformat=fixed' },
  VHDX: { format: 'vhdx', options: 'block_size=1M' },
  VMDK: { format: 'vmdk', options: 'subformat=monolithicSparse' },
  'stream-optimised VMDK': { format: 'vmdk', options: 'subformat=streamOptimized' },
  'flat VMDK': { format: 'vmdk', options: 'subformat=monolithicFlat' },
  'split sparse VMDK': { format: 'vmdk', options: 'subformat=twoGbMaxExtentSparse' },
};

describe('A source whose end is missing', () => {
  let temp: Awaited<ReturnType<typeof tempDir>>;
  beforeEach(async () => {
    temp = await tempDir();
    await randomImage(temp.at('raw'), SIZE);
    await run('qemu-io', ['-f', 'raw', '-c', 'write -z 2M 3M', temp.at('raw')]);
  });
  afterEach(() => temp.remove());

  const make = async (path: string, { format, options, compressed, writes = [] }: Kind): Promise<void> => {
    const more = [...(compressed ? ['-c'] : []), ...(options === undefined ? [] : ['-o', options])];
    await run('qemu-img', ['convert', '-f', 'raw', '-O', format, ...more, temp.at('raw'), path]);
    if (writes.length > 0)
      await run('qemu-io', ['-d', 'unmap', '-f', format, ...writes.flatMap((write) => ['-c', write]), path]);
  };
  const accept = async (path: string, format: ImageFormat): Promise<void> =>
    refuseTruncated({ path, format }, await inspectUntrusted(path, format));
  /** How an image ends: refused by a code, `read` with the whole content, `loud` where reading it fails, or `LOST`. */
  const fate = async (path: string, format: ImageFormat, whole: string): Promise<string> => {
    try {
      await accept(path, format);
    } catch (error) {
      if (isStrataError(error)) return error.code;
      throw error;
    }
    try {
      const { identical } = await compareImages(
        { type: 'file', path, format },
        { type: 'file', path: whole, format },
      );
      return identical ? 'read' : 'LOST';
    } catch {
      return 'loud';
    }
  };

  /** A copy of the image and its extents in a directory of its own: a descriptor names them by plain names. */
  const copyOf = async (name: string): Promise<string> => {
    const to = temp.at(name);
    await mkdir(to);
    const files = (await readdir(temp.dir)).filter((file) => file.startsWith('whole'));
    for (const file of files) await copyFile(temp.at(file), join(to, file));
    return to;
  };

  for (const [name, kind] of Object.entries(KINDS)) {
    it(`never becomes zeros: ${name}`, async () => {
      await make(temp.at('whole.img'), kind);
      await accept(temp.at('whole.img'), kind.format);
      // The file with the disk's bytes: for a VMDK of several files it is not the descriptor.
      const body = (await readdir(temp.dir)).find((file) => /-flat|-s001/.test(file)) ?? 'whole.img';
      const { size } = await stat(temp.at(body));
      const fates: string[] = [];
      const cuts = [1, 100, 511, 512, 1024, 4096, 70_000, MiB, 3 * MiB + 7, size - 8192];
      for (const cut of cuts.filter((bytes) => bytes < size)) {
        const copy = await copyOf(`cut${cut}`);
        await truncate(join(copy, body), size - cut);
        fates.push(await fate(join(copy, 'whole.img'), kind.format, temp.at('whole.img')));
      }
      expect(fates, fates.join(' ')).not.to.include('LOST');
      // A megabyte of random bytes is not to be had from a file that lacks them. A fixed VHD has lost its footer with them.
      const code = kind.options?.includes('subformat=fixed') ? 'unknown_format' : 'source_truncated';
      expect(fates.slice(7, 9)).to.deep.equal([code, code]);
    });
  }

  it('is seen where only a second-level table is missing, which reads as zeros with all that it maps', async () => {
    const path = temp.at('disk.qcow2');
    await run('qemu-img', ['create', '-q', '-f', 'qcow2', path, '2G']);
    await run('qemu-io', ['-f', 'qcow2', '-c', 'write -P 1 0 1M', path]);
    const before = (await stat(path)).size;
    await run('qemu-io', ['-f', 'qcow2', '-c', 'write -P 1 1G 1M', path]);
    await truncate(path, before);
    const { stdout } = await run('qemu-img', ['map', '--output=json', '-f', 'qcow2', path]);
    const offsets = (JSON.parse(stdout) as { offset?: number; length: number }[]).map(
      ({ offset = 0, length }) => offset + length,
    );
    expect(offsets.at(0), 'the map of what is left stays within the file').to.be.at.most(before);
    await rejection(accept(path, 'qcow2'), 'source_truncated');
  });

  it('is seen in each extent of a VMDK, and named', async () => {
    const path = temp.at('disk.vmdk');
    for (const [subformat, piece] of [
      ['twoGbMaxExtentFlat', 'f'],
      ['twoGbMaxExtentSparse', 's'],
    ] as const) {
      await run('qemu-img', ['create', '-q', '-f', 'vmdk', '-o', `subformat=${subformat}`, path, '5G']);
      await run('qemu-io', [
        '-f',
        'vmdk',
        ...[0, 2, 4].flatMap((at) => ['-c', `write -P 7 ${at}G 1M`]),
        path,
      ]);
      await accept(path, 'vmdk');
      for (const number of [1, 2, 3]) {
        const extent = temp.at(`disk-${piece}00${number}.vmdk`);
        const { size } = await stat(extent);
        // copyFile would write the holes out: 2 GiB an extent.
        await run('cp', ['--sparse=always', extent, temp.at('saved')]);
        await truncate(extent, size - 65536);
        const error = await rejection(accept(path, 'vmdk'), 'source_truncated');
        expect(error.details.path).to.equal(extent);
        await run('cp', ['--sparse=always', temp.at('saved'), extent]);
      }
    }
  });

  for (const preallocation of ['off', 'metadata', 'falloc', 'full']) {
    it(`is not seen in a sound QCOW2 image that is preallocated (${preallocation}), grown, or shrunk`, async () => {
      const path = temp.at('disk.qcow2');
      await run('qemu-img', [
        'create',
        '-q',
        '-f',
        'qcow2',
        '-o',
        `preallocation=${preallocation}`,
        path,
        '5M',
      ]);
      await accept(path, 'qcow2');
      await run('qemu-io', ['-f', 'qcow2', '-c', 'write -P 1 4M 512', path]);
      await accept(path, 'qcow2');
      await run('qemu-img', [
        'resize',
        '-q',
        `--preallocation=${preallocation}`,
        '-f',
        'qcow2',
        path,
        '9437696',
      ]);
      await run('qemu-io', ['-f', 'qcow2', '-c', 'write -P 1 9M 512', path]);
      await accept(path, 'qcow2');
      await run('qemu-img', ['resize', '-q', '--shrink', '-f', 'qcow2', path, '3M']);
      await accept(path, 'qcow2');
    });
  }

  it('is not seen in the sound QCOW2 image of another program, which has a cluster that nothing needs: e2image -Q', async () => {
    await run('truncate', ['-s', '64M', temp.at('disk.raw')]);
    await run('mke2fs', ['-q', '-t', 'ext4', temp.at('disk.raw')], {
      env: { PATH: '/usr/sbin:/sbin:/usr/bin:/bin' },
    });
    await run('e2image', ['-Q', temp.at('disk.raw'), temp.at('disk.qcow2')], {
      env: { PATH: '/usr/sbin:/sbin' },
    });
    await accept(temp.at('disk.qcow2'), 'qcow2');
  });

  it('is looked for in every table of a big disk within seconds', async () => {
    const path = temp.at('disk.qcow2');
    await run('qemu-img', ['create', '-q', '-f', 'qcow2', '-o', 'preallocation=metadata', path, '512G']);
    const begun = performance.now();
    await accept(path, 'qcow2');
    expect(performance.now() - begun).to.be.below(30_000);
  });
});
