import { randomBytes } from 'node:crypto';
import { readFile, truncate, writeFile } from 'node:fs/promises';
import { expect } from 'chai';
import {
  compareImages,
  convertImage,
  createImage,
  imageInfo,
  type ImageRef,
  inspectUntrusted,
  mapImage,
  measureImage,
  serveImage,
} from '../../../src/qcow2/index.js';
import { vhdFooter, writeVhd } from '../../helpers/vhd.js';
import { MiB, patch, rejection, run, tempDir } from './images.js';

/** 4 MiB and a bit: far from whole cylinders of 4 heads and 17 sectors. */
const SIZE = 4 * MiB + 5 * 512;

describe('A VHD', () => {
  let temp: Awaited<ReturnType<typeof tempDir>>;
  let content: Buffer;
  beforeEach(async () => {
    temp = await tempDir();
    content = randomBytes(SIZE);
    content.fill(0, MiB, 3 * MiB);
    await writeFile(temp.at('content.raw'), content);
  });
  afterEach(() => temp.remove());

  const vpc = (name = 'disk.vhd') => ({ type: 'file', path: temp.at(name), format: 'vpc' }) as const;
  const raw = (name: string): ImageRef => ({ type: 'file', path: temp.at(name), format: 'raw' });
  const inspect = () => inspectUntrusted(temp.at('disk.vhd'), 'vpc');

  for (const type of [2, 3] as const) {
    for (const creator of ['wa\0\0', 'vbox', 'win ', 'qem2', 'vpc ', 'd2v ', 'zzzz']) {
      const what = `${type === 2 ? 'fixed' : 'dynamic'} one of ${JSON.stringify(creator)}`;
      it(`does not lose what lies behind its last whole cylinder: ${what}`, async () => {
        await writeVhd(temp.at('disk.vhd'), { creator, content, type });
        expect((await inspect()).virtualSizeBytes).to.equal(SIZE);
        await convertImage(vpc(), { type: 'file', path: temp.at('out.raw'), format: 'raw' });
        expect((await readFile(temp.at('out.raw'))).equals(content)).to.equal(true);
      });
    }
  }

  it('has its true size for every tool that opens it', async () => {
    await writeVhd(temp.at('disk.vhd'), { creator: 'wa\0\0', content, type: 3 });
    let end = 0;
    for await (const extent of mapImage(vpc())) end = extent.start + extent.length;
    expect(end).to.equal(SIZE);
    expect((await compareImages(vpc(), raw('content.raw'))).identical).to.equal(true);
    expect((await measureImage(vpc(), 'raw')).requiredBytes).to.equal(SIZE);
    const server = await serveImage({ ...vpc(), readOnly: true, socketPath: temp.at('s.sock') });
    try {
      expect((await imageInfo({ type: 'nbd', uri: server.uri })).virtualSizeBytes).to.equal(SIZE);
      expect((await compareImages({ type: 'nbd', uri: server.uri }, raw('content.raw'))).identical).to.equal(
        true,
      );
    } finally {
      await server.close();
    }
  });

  it('that Strata writes is as long as its source, made or copied, to QEMU on its own too', async () => {
    await convertImage(raw('content.raw'), vpc());
    expect((await imageInfo(vpc())).virtualSizeBytes).to.equal(SIZE);
    expect((await compareImages(vpc(), raw('content.raw'))).identical).to.equal(true);
    await createImage(temp.at('empty.vhd'), { virtualSizeBytes: SIZE, format: 'vpc' });
    await convertImage(raw('content.raw'), vpc('empty.vhd'), { targetExists: true });
    expect((await compareImages(vpc('empty.vhd'), raw('content.raw'))).identical).to.equal(true);
    for (const name of ['disk.vhd', 'empty.vhd']) {
      const { stdout } = await run('qemu-img', ['info', '--output=json', '-f', 'vpc', temp.at(name)]);
      expect(JSON.parse(stdout)).to.have.property('virtual-size', SIZE);
    }
  });

  it('that is differencing is not read as if it had no parent', async () => {
    await writeVhd(temp.at('disk.vhd'), { creator: 'win ', content, type: 4 });
    const error = await rejection(inspect(), 'source_references_other_file');
    expect(error.message).to.contain('Merge it');
  });

  it('whose copy of the footer alone says that it is differencing is not read either', async () => {
    await writeVhd(temp.at('disk.vhd'), { creator: 'win ', content, type: 3 });
    await patch(temp.at('disk.vhd'), 0, vhdFooter({ creator: 'win ', content, type: 4 }));
    await rejection(inspect(), 'source_references_other_file');
  });

  it('that is cut does not end in zeros: fixed, dynamic, or without its last sector alone', async () => {
    await writeVhd(temp.at('disk.vhd'), { creator: 'vbox', content, statedSize: SIZE + MiB });
    await rejection(inspect(), 'source_truncated');
    await writeVhd(temp.at('disk.vhd'), { creator: 'vbox', content, type: 3 });
    const whole = await readFile(temp.at('disk.vhd'));
    for (const length of [whole.length - 512, whole.length - MiB, 8192]) {
      await writeFile(temp.at('disk.vhd'), whole.subarray(0, length));
      await rejection(inspect(), 'source_truncated');
    }
    // With its footer moved up, as a tool for repair would do it.
    const footer = whole.subarray(whole.length - 512);
    await writeFile(temp.at('disk.vhd'), Buffer.concat([whole.subarray(0, whole.length - MiB), footer]));
    await rejection(inspect(), 'source_truncated');
  });

  it('without any footer is said to be none, or to be cut', async () => {
    await writeVhd(temp.at('disk.vhd'), { creator: 'vbox', content });
    await truncate(temp.at('disk.vhd'), SIZE);
    const error = await rejection(inspect(), 'unknown_format');
    expect(error.message).to.contain('its end is missing');
  });

  it('whose footer or header is damaged is refused: QEMU warns and goes on', async () => {
    for (const [type, at] of [
      [2, SIZE + 48],
      [3, 48],
      [3, 512 + 17],
    ] as const) {
      await writeVhd(temp.at('disk.vhd'), { creator: 'win ', content, type });
      await patch(temp.at('disk.vhd'), at, Buffer.from([1]));
      const error = await rejection(inspect(), 'source_missing');
      expect(error.message).to.contain('checksum');
    }
    await writeVhd(temp.at('disk.vhd'), { creator: 'win ', content, type: 3 });
    await patch(temp.at('disk.vhd'), 0, Buffer.alloc(512));
    await rejection(inspect(), 'source_missing');
  });

  it('that is fixed is not read as the dynamic disk that its guest has written into its first sector', async () => {
    const guest = Buffer.from(content);
    vhdFooter({ creator: 'win ', content, type: 3 }).copy(guest);
    await writeVhd(temp.at('disk.vhd'), { creator: 'win ', content: guest });
    await rejection(inspect(), 'source_unsupported');
  });
});
