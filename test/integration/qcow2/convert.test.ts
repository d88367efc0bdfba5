import { expect } from 'chai';
import {
  compareImages,
  convertImage,
  createImage,
  imageInfo,
  type ImageRef,
  serveImage,
} from '../../../src/qcow2/index.js';
import { guestWrite, MiB, randomImage, rejection, run, tempDir } from './images.js';

describe('convertImage and compareImages', () => {
  let temp: Awaited<ReturnType<typeof tempDir>>;
  let source: ImageRef;
  beforeEach(async () => {
    temp = await tempDir();
    await randomImage(temp.at('source.raw'), 8 * MiB);
    source = { type: 'file', path: temp.at('source.raw'), format: 'raw' };
  });
  afterEach(() => temp.remove());

  it('makes a full that compares identical, and reports growing progress up to 100', async () => {
    const seen: number[] = [];
    const target = { type: 'file', path: temp.at('full.qcow2'), format: 'qcow2' } as const;
    await convertImage(source, target, {
      outOfOrder: true,
      coroutines: 16,
      sourceCache: 'none',
      targetCache: 'none',
      onProgress: (percent) => seen.push(percent),
    });
    expect(seen.at(-1)).to.equal(100);
    expect(seen).to.deep.equal(seen.toSorted((a, b) => a - b));
    expect(await compareImages(source, target)).to.deep.equal({
      identical: true,
      message: 'Images are identical.',
    });
    expect(await imageInfo(target)).to.include({ compat: '1.1', clusterSize: 65536 });
  });

  it('names the first difference when images differ', async () => {
    const target = { type: 'file', path: temp.at('full.qcow2'), format: 'qcow2' } as const;
    await convertImage(source, target);
    await guestWrite(target.path, 1, 2 * MiB, 65536);
    const result = await compareImages(source, target);
    expect(result.identical).to.equal(false);
    expect(result.message).to.match(/^Content mismatch at offset 2097\d+!$/);
  });

  it('leaves to the backing file what the source leaves to its own', async () => {
    await convertImage(source, { type: 'file', path: temp.at('full.qcow2'), format: 'qcow2' });
    const backing = { name: 'full.qcow2', format: 'qcow2' } as const;
    await createImage(temp.at('changes.qcow2'), { virtualSizeBytes: 8 * MiB, backing });
    await guestWrite(temp.at('changes.qcow2'), 9, MiB, 65536);
    const changes: ImageRef = { type: 'file', path: temp.at('changes.qcow2'), format: 'qcow2' };
    const overlay = { type: 'file', path: temp.at('inc.qcow2'), format: 'qcow2' } as const;
    await convertImage(changes, overlay, { backing });
    expect((await imageInfo(overlay)).actualSizeBytes).to.be.lessThan(MiB);
    await guestWrite(temp.at('full.qcow2'), 9, MiB, 65536);
    const full: ImageRef = { type: 'file', path: temp.at('full.qcow2'), format: 'qcow2' };
    expect((await compareImages(full, overlay)).identical).to.equal(true);
  });

  it('reads a file without its backing file when asked to', async () => {
    await convertImage(source, { type: 'file', path: temp.at('full.qcow2'), format: 'qcow2' });
    const backing = { name: 'full.qcow2', format: 'qcow2' } as const;
    await createImage(temp.at('inc.qcow2'), { virtualSizeBytes: 8 * MiB, backing });
    await createImage(temp.at('empty.qcow2'), { virtualSizeBytes: 8 * MiB });
    const alone: ImageRef = { type: 'file', path: temp.at('inc.qcow2'), format: 'qcow2', noBacking: true };
    const empty: ImageRef = { type: 'file', path: temp.at('empty.qcow2'), format: 'qcow2' };
    expect((await compareImages(alone, empty)).identical).to.equal(true);
  });

  for (const format of ['vmdk', 'vhdx', 'vdi', 'vpc'] as const) {
    it(`restores to ${format} and back`, async () => {
      const target = { type: 'file', path: temp.at(`disk.${format}`), format } as const;
      await convertImage(
        source,
        target,
        format === 'vmdk' ? { subformatOptions: { subformat: 'monolithicSparse' } } : {},
      );
      expect((await compareImages(source, target)).identical).to.equal(true);
    });
  }

  it('writes to and reads from an NBD export', async () => {
    await createImage(temp.at('full.qcow2'), { virtualSizeBytes: 8 * MiB });
    const serve = {
      path: temp.at('full.qcow2'),
      format: 'qcow2',
      socketPath: temp.at('s,?&%.sock'),
    } as const;
    const server = await serveImage({ ...serve, readOnly: false, exportName: 'a b/ü', cache: 'none' });
    const nbd: ImageRef = { type: 'nbd', uri: server.uri };
    try {
      await convertImage(source, nbd, { targetCache: 'writeback', sourceCache: 'none' });
      expect((await compareImages(source, nbd)).identical).to.equal(true);
    } finally {
      await server.close();
    }
    const full: ImageRef = { type: 'file', path: temp.at('full.qcow2'), format: 'qcow2' };
    expect((await compareImages(source, full)).identical).to.equal(true);
  });

  it('works with idle priority', async () => {
    await convertImage(
      source,
      { type: 'file', path: temp.at('copy.raw'), format: 'raw' },
      {},
      { idle: true },
    );
    expect(
      (await imageInfo({ type: 'file', path: temp.at('copy.raw'), format: 'raw' })).virtualSizeBytes,
    ).to.equal(8 * MiB);
  });

  it('never writes over an existing file unless the target is said to exist', async () => {
    const target = { type: 'file', path: temp.at('target.raw'), format: 'raw' } as const;
    await run('truncate', ['-s', String(8 * MiB), target.path]);
    await rejection(convertImage(source, target), 'file_exists');
    await convertImage(source, target, { targetExists: true });
    expect((await compareImages(source, target)).identical).to.equal(true);
  });

  it('refuses settings out of range', async () => {
    const target = { type: 'file', path: temp.at('target.raw'), format: 'raw' } as const;
    await rejection(convertImage(source, target, { coroutines: 17 }), 'invalid_request');
    await rejection(convertImage(source, target, { bytesPerSecond: 0 }), 'invalid_request');
    await rejection(convertImage(source, target, { subformatOptions: { 'a=b,c': 1 } }), 'invalid_request');
  });

  it('says file_missing, nbd_connection_lost and invalid_request for sources that cannot be opened', async () => {
    const target = { type: 'file', path: temp.at('target.raw'), format: 'raw' } as const;
    await rejection(
      convertImage({ type: 'file', path: temp.at('no'), format: 'raw' }, target),
      'file_missing',
    );
    const nowhere = `nbd+unix:///?socket=${temp.at('no.sock')}`;
    await rejection(convertImage({ type: 'nbd', uri: nowhere }, target), 'nbd_connection_lost');
    await rejection(convertImage({ type: 'nbd', uri: 'json:{}' }, target), 'invalid_request');
  });

  it('says source_in_use when another program writes the source', async () => {
    await createImage(temp.at('busy.qcow2'), { virtualSizeBytes: MiB });
    const serve = { path: temp.at('busy.qcow2'), format: 'qcow2', socketPath: temp.at('s.sock') } as const;
    const server = await serveImage({ ...serve, readOnly: false });
    try {
      const busy: ImageRef = { type: 'file', path: temp.at('busy.qcow2'), format: 'qcow2' };
      const target = { type: 'file', path: temp.at('copy.raw'), format: 'raw' } as const;
      await rejection(convertImage(busy, target), 'source_in_use');
    } finally {
      await server.close();
    }
  });
});
