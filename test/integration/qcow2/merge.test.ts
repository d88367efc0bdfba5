import { expect } from 'chai';
import { checkImage, commitImage, createImage, imageInfo, rebaseImage } from '../../../src/qcow2/index.js';
import { guestRead, guestWrite, MiB, run, rejection, tempDir } from './images.js';

describe('commitImage and rebaseImage', () => {
  let temp: Awaited<ReturnType<typeof tempDir>>;
  beforeEach(async () => {
    temp = await tempDir();
    await createImage(temp.at('full'), { virtualSizeBytes: 4 * MiB });
    await guestWrite(temp.at('full'), 1, 0, MiB);
    for (const [name, below, pattern] of [
      ['inc1', 'full', 2],
      ['inc2', 'inc1', 3],
    ] as const) {
      const backing = { name: below, format: 'qcow2' } as const;
      await createImage(temp.at(name), { virtualSizeBytes: 4 * MiB, backing });
      await guestWrite(temp.at(name), pattern, pattern * 65536, 65536);
    }
  });
  afterEach(() => temp.remove());

  const readsAsTheTop = async (name: string): Promise<void> => {
    await guestRead(temp.at(name), 1, 0, 65536);
    await guestRead(temp.at(name), 2, 2 * 65536, 65536);
    await guestRead(temp.at(name), 3, 3 * 65536, 65536);
  };

  it('commits all between into a base further down, with progress', async () => {
    const seen: number[] = [];
    await commitImage(temp.at('inc2'), {
      base: temp.at('full'),
      onProgress: (percent) => seen.push(percent),
    });
    await readsAsTheTop('full');
    expect(seen.at(-1)).to.equal(100);
    expect((await checkImage(temp.at('full'))).clean).to.equal(true);
  });

  it('commits into the direct backing file, and leaves the overlay as it is when that is to be dropped', async () => {
    const before = await imageInfo({ type: 'file', path: temp.at('inc2'), format: 'qcow2' });
    await commitImage(temp.at('inc2'), { dropTop: true });
    await guestRead(temp.at('inc1'), 3, 3 * 65536, 65536);
    const after = await imageInfo({ type: 'file', path: temp.at('inc2'), format: 'qcow2' });
    expect(after.actualSizeBytes).to.equal(before.actualSizeBytes);
  });

  it('rebases onto a lower file and reads the same without the one between', async () => {
    const seen: number[] = [];
    const backing = { name: 'full', format: 'qcow2' } as const;
    await rebaseImage(temp.at('inc2'), { backing, onProgress: (percent) => seen.push(percent) });
    await run('rm', [temp.at('inc1')]);
    await readsAsTheTop('inc2');
    expect(seen.at(-1)).to.equal(100);
    const info = await imageInfo({ type: 'file', path: temp.at('inc2'), format: 'qcow2' });
    expect(info).to.include({ backingName: 'full', backingFormat: 'qcow2' });
  });

  it('makes an image stand alone', async () => {
    await rebaseImage(temp.at('inc2'));
    await run('rm', [temp.at('inc1'), temp.at('full')]);
    await readsAsTheTop('inc2');
  });

  it('changes only the name when unsafe, even while no file has that name', async () => {
    await rebaseImage(temp.at('inc2'), { backing: { name: 'later', format: 'qcow2' }, unsafe: true });
    const info = await imageInfo({ type: 'file', path: temp.at('inc2'), format: 'qcow2' });
    expect(info.backingName).to.equal('later');
  });

  it('refuses a backing name that leaves the directory', async () => {
    const backing = { name: '../full', format: 'qcow2' } as const;
    await rejection(rebaseImage(temp.at('inc2'), { backing, unsafe: true }), 'invalid_name');
  });
});
