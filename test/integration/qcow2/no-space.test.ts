import { mkdir } from 'node:fs/promises';
import { expect } from 'chai';
import { convertImage, type ImageRef } from '../../../src/qcow2/index.js';
import { failureOf, MiB, randomImage, rejection, run, tempDir } from './images.js';

describe('a full file system', () => {
  let temp: Awaited<ReturnType<typeof tempDir>>;
  let source: ImageRef;
  beforeEach(async () => {
    temp = await tempDir();
    await randomImage(temp.at('source.raw'), 8 * MiB);
    source = { type: 'file', path: temp.at('source.raw'), format: 'raw' };
  });
  afterEach(() => temp.remove());

  it('ends a copy with no_space', async () => {
    await mkdir(temp.at('small'));
    const path = temp.at('small/full.qcow2');
    // In a mount namespace of its own the tests would not see it; a mount needs root, and is undone below.
    await run('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'none', temp.at('small')]);
    try {
      const error = await rejection(
        convertImage(source, { type: 'file', path, format: 'qcow2' }),
        'no_space',
      );
      expect(error.outcome).to.equal('wait');
    } finally {
      await run('umount', [temp.at('small')]);
    }
  });

  it('is not what a limit on the size of files is taken for', async () => {
    const limits = { addressSpaceBytes: 1024 * MiB, cpuSeconds: 30, fileSizeBytes: 2 * MiB };
    const target = { type: 'file', path: temp.at('full.qcow2'), format: 'qcow2' } as const;
    const error = await failureOf(convertImage(source, target, {}, { limits }));
    expect(error).to.include({ code: 'source_too_complex' });
  });
});
