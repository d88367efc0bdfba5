import { expect } from 'chai';
import { createImage, type MapExtent, mapImage } from '../../../src/qcow2/index.js';
import { childrenOf, commandOf, failureOf, guestWrite, MiB, run, tempDir, until } from './images.js';

const GiB = 1024 ** 3;

describe('mapImage', () => {
  let temp: Awaited<ReturnType<typeof tempDir>>;
  before(async () => {
    temp = await tempDir();
    await createImage(temp.at('full.qcow2'), { virtualSizeBytes: 1024 * GiB });
    // Every other cluster of 256 MiB: 2,000 zero clusters take no space and do not merge with holes in between.
    const writes = Array.from({ length: 2000 }, (_, i) => ['-c', `write -z ${i * 2 * 65536} 65536`]).flat();
    await run('qemu-io', ['-f', 'qcow2', ...writes, temp.at('full.qcow2')], { maxBuffer: 64 * MiB });
    await createImage(temp.at('small.qcow2'), { virtualSizeBytes: 4 * MiB });
    await guestWrite(temp.at('small.qcow2'), 7, MiB, MiB);
    const backing = { name: 'small.qcow2', format: 'qcow2' } as const;
    await createImage(temp.at('inc.qcow2'), { virtualSizeBytes: 4 * MiB, backing });
    await guestWrite(temp.at('inc.qcow2'), 8, MiB, 65536);
  });
  after(() => temp.remove());

  const extents = (name: string, signal?: AbortSignal): AsyncIterable<MapExtent> =>
    mapImage({ type: 'file', path: temp.at(name), format: 'qcow2' }, signal ? { signal } : {});

  it('says from which file of the chain each range comes', async () => {
    const list: MapExtent[] = [];
    for await (const extent of extents('inc.qcow2')) list.push(extent);
    const data = list
      .filter((extent) => extent.data)
      .map(({ start, length, depth }) => [start, length, depth]);
    expect(data).to.deep.equal([
      [MiB, 65536, 0],
      [MiB + 65536, MiB - 65536, 1],
    ]);
  });

  it('covers a large sparse image without a gap', async () => {
    let end = 0;
    let count = 0;
    for await (const { start, length } of extents('full.qcow2')) {
      expect(start).to.equal(end);
      end = start + length;
      count++;
    }
    expect(end).to.equal(1024 * GiB);
    expect(count).to.be.greaterThan(3999);
  });

  it('ends the tool when the reader leaves early', async () => {
    for await (const extent of extents('full.qcow2')) {
      expect(extent.start).to.equal(0);
      break;
    }
    await until(async () => (await mine()).length === 0, 'qemu-img is gone');
  });

  it('rejects with the reason of its signal', async () => {
    const aborting = new AbortController();
    const reason = new Error('lost');
    const reading = (async () => {
      for await (const extent of extents('full.qcow2', aborting.signal)) {
        if (extent.start > 0) aborting.abort(reason);
      }
    })();
    expect(await failureOf(reading)).to.equal(reason);
    expect(await mine()).to.deep.equal([]);
  });

  async function mine(): Promise<number[]> {
    const pids = await childrenOf(process.pid);
    const commands = await Promise.all(pids.map(async (pid) => ({ pid, args: await commandOf(pid) })));
    return commands.filter(({ args }) => args.some((arg) => arg.startsWith(temp.dir))).map(({ pid }) => pid);
  }
});
