import { expect } from 'chai';
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import {
  type BlockStatus,
  BASE_ALLOCATION,
  connectNbd,
  listExports,
  listMetaContexts,
} from '../../../../src/datapath/nbd/index.js';
import { codeOf } from '../../../helpers/codeOf.js';
import { startQemuNbd, startStorageDaemon } from '../../../helpers/nbdServers.js';
import { useNbdServers } from '../../../helpers/nbdSuite.js';
import { runTool } from '../../../helpers/runTool.js';

const MIB = 1024 * 1024;
const nbd = useNbdServers();

const serve = (image: string, ...args: string[]) => nbd.keep(startQemuNbd(image, ...args));

async function createImage(name: string, format: string, size: number): Promise<string> {
  const path = nbd.file(name);
  await runTool('qemu-img', 'create', '-q', '-f', format, path, String(size));
  return path;
}

async function collect(extents: AsyncIterable<BlockStatus>): Promise<BlockStatus[]> {
  const all: BlockStatus[] = [];
  for await (const extent of extents) all.push(extent);
  return all;
}

describe('NBD client with qemu-nbd', () => {
  for (const format of ['raw', 'qcow2']) {
    it(`writes random data that qemu-img finds identical in a ${format} image, and reads it back`, async () => {
      const content = randomBytes(16 * MIB);
      const expected = nbd.file('expected.raw');
      await writeFile(expected, content);
      const image = await createImage('image', format, 16 * MIB);
      const server = await serve(image, '-f', format);
      const client = await connectNbd(server.uri());
      const pieces = Array.from({ length: 64 }, (_, i) => i * 256 * 1024).toSorted(() => Math.random() - 0.5);
      await Promise.all(
        pieces.map((at) => client.write(at, content.subarray(at, at + 256 * 1024), { fua: at === 0 })),
      );
      await client.flush();
      expect((await client.read(0, 16 * MIB)).equals(content)).to.equal(true);
      const odd = Buffer.alloc(70_001);
      await client.readInto(123_457, odd);
      expect(odd.equals(content.subarray(123_457, 123_457 + 70_001))).to.equal(true);
      await client.close();
      await server.stop();
      await runTool('qemu-img', 'compare', '-f', 'raw', '-F', format, expected, image);
    });
  }

  it('tells size, flags and limits of a read-only export, and refuses to write to it without asking', async () => {
    const server = await serve(await createImage('image', 'raw', 3 * MIB), '-f', 'raw', '-r', '-x', 'disk');
    const client = await connectNbd(server.uri('disk'));
    expect(client.sizeBytes).to.equal(3 * MIB);
    expect(client.flags).to.include({
      readOnly: true,
      canFlush: true,
      canMultiConn: true,
      canDf: true,
      rotational: false,
    });
    expect(client.block).to.deep.equal({ minimum: 1, preferred: 4096, maximum: 32 * MIB });
    expect(client.metaContexts).to.deep.equal([]);
    expect(await codeOf(client.write(0, Buffer.alloc(512)))).to.equal('nbd_refused');
    expect(await codeOf(client.writeZeroes(0, 512))).to.equal('nbd_refused');
    expect(await codeOf(client.trim(0, 512))).to.equal('nbd_refused');
    expect(await codeOf(client.read(3 * MIB - 1, 2))).to.equal('nbd_out_of_bounds');
    expect(await codeOf(client.read(-1, 2))).to.equal('nbd_out_of_bounds');
    expect(await codeOf(client.read(0.5, 2))).to.equal('nbd_out_of_bounds');
    expect((await client.read(3 * MIB - 1, 1)).length).to.equal(1);
    await client.close();
    expect(await codeOf(client.read(0, 1))).to.equal('nbd_connection_lost');
  });

  it("refuses an export that does not exist as nbd_refused with the server's words", async () => {
    const server = await serve(await createImage('image', 'raw', MIB), '-f', 'raw', '-x', 'disk');
    let caught: unknown;
    await connectNbd(server.uri('other')).catch((error: unknown) => (caught = error));
    expect(caught).to.have.property('code', 'nbd_refused');
    expect(caught).to.have.property('message').that.includes("export 'other' not present");
  });

  it('lists exports and meta contexts', async () => {
    const image = await createImage('image', 'qcow2', MIB);
    await runTool('qemu-img', 'bitmap', '--add', '-f', 'qcow2', image, 'tracker');
    const server = await serve(image, '-f', 'qcow2', '-x', 'disk', '-D', 'a disk', '-B', 'tracker');
    expect(await listExports(server.uri())).to.deep.equal([{ name: 'disk', description: 'a disk' }]);
    expect(await listMetaContexts(server.uri('disk'), ['qemu:'])).to.deep.equal([
      'qemu:dirty-bitmap:tracker',
    ]);
    expect(await listMetaContexts(server.uri('disk'))).to.deep.equal([
      'base:allocation',
      'qemu:dirty-bitmap:tracker',
    ]);
    expect(await codeOf(listMetaContexts(server.uri('other')))).to.equal('nbd_refused');
  });

  it('reads allocation and dirty bitmap side by side', async () => {
    const image = await createImage('image', 'qcow2', 8 * MIB);
    await runTool('qemu-io', '-f', 'qcow2', '-c', 'write -P 1 0 1M', '-c', 'write -P 2 4M 128k', image);
    await runTool('qemu-img', 'bitmap', '--add', '-f', 'qcow2', image, 'tracker');
    await runTool('qemu-io', '-f', 'qcow2', '-c', 'write -P 3 2M 64k', '-c', 'write -P 3 4M 64k', image);
    const server = await serve(image, '-f', 'qcow2', '-r', '-B', 'tracker');
    const dirty = 'qemu:dirty-bitmap:tracker';
    const client = await connectNbd(server.uri(), {
      metaContexts: [BASE_ALLOCATION, dirty, 'qemu:dirty-bitmap:none'],
    });
    expect(client.metaContexts).to.have.members([BASE_ALLOCATION, dirty]);
    const changed = (await collect(client.statusExtents(dirty))).filter(({ flags }) => flags === 1);
    expect(changed).to.deep.equal([
      { offset: 2 * MIB, length: 65536, flags: 1 },
      { offset: 4 * MIB, length: 65536, flags: 1 },
    ]);
    const allocated = (await collect(client.statusExtents(BASE_ALLOCATION))).filter(
      ({ flags }) => flags === 0,
    );
    expect(allocated).to.deep.equal([
      { offset: 0, length: MIB, flags: 0 },
      { offset: 2 * MIB, length: 65536, flags: 0 },
      { offset: 4 * MIB, length: 131072, flags: 0 },
    ]);
    expect(await client.blockStatus(4 * MIB, 100_000, dirty)).to.deep.equal([
      { offset: 4 * MIB, length: 65536, flags: 1 },
      { offset: 4 * MIB + 65536, length: 100_000 - 65536, flags: 0 },
    ]);
    expect(await collect(client.statusExtents(dirty, { offset: 4 * MIB, length: 65536 }))).to.have.length(1);
    expect(await codeOf(client.blockStatus(0, 1, 'qemu:dirty-bitmap:none'))).to.equal('bitmap_missing');
    expect(await codeOf(client.blockStatus(0, 1, 'base:other'))).to.equal('nbd_refused');
    await client.close();
  });

  it('zeroes and trims ranges of many GiB in a sparse image, and walks the status of all of it', async () => {
    const size = 40 * 1024 * MIB;
    const server = await serve(await createImage('image', 'qcow2', size), '-f', 'qcow2', '--discard=unmap');
    const client = await connectNbd(server.uri(), { metaContexts: [BASE_ALLOCATION] });
    await client.write(20 * 1024 * MIB, randomBytes(2 * MIB));
    await client.write(30 * 1024 * MIB, Buffer.alloc(65536, 7));
    await client.writeZeroes(5, 25 * 1024 * MIB);
    await client.trim(35 * 1024 * MIB, 5 * 1024 * MIB);
    await client.flush();
    expect((await client.read(20 * 1024 * MIB, 2 * MIB)).equals(Buffer.alloc(2 * MIB))).to.equal(true);
    const extents = await collect(client.statusExtents(BASE_ALLOCATION));
    expect(extents.reduce((sum, { length }) => sum + length, 0)).to.equal(size);
    const data = extents.filter(({ flags }) => flags === 0);
    expect(data).to.deep.include({ offset: 30 * 1024 * MIB, length: 65536, flags: 0 });
    await client.close();
  });

  it("writes 64 MiB in one call, split to the server's limit", async () => {
    const server = await serve(await createImage('image', 'raw', 80 * MIB), '-f', 'raw');
    const client = await connectNbd(server.uri(), { maxInFlight: 2 });
    const data = Buffer.alloc(64 * MIB, 'pattern!!');
    await client.write(MIB + 1, data);
    expect((await client.read(MIB + 1, 64 * MIB)).equals(data)).to.equal(true);
    await client.close();
  });

  it("several connections at a time see each other's flushed writes", async () => {
    const server = await serve(await createImage('image', 'raw', 8 * MIB), '-f', 'raw');
    const clients = await Promise.all(Array.from({ length: 4 }, () => connectNbd(server.uri())));
    await Promise.all(clients.map((client, i) => client.write(i * 2 * MIB, Buffer.alloc(2 * MIB, i + 1))));
    await Promise.all(clients.map((client) => client.flush()));
    const whole = Buffer.concat([1, 2, 3, 4].map((value) => Buffer.alloc(2 * MIB, value)));
    for (const client of clients) expect((await client.read(0, 8 * MIB)).equals(whole)).to.equal(true);
    await Promise.all(clients.map((client) => client.close()));
  });
});

describe('NBD client with qemu-storage-daemon', () => {
  it('writes to one export and reads allocation and bitmap of another', async () => {
    const image = await createImage('image', 'qcow2', 8 * MIB);
    await runTool('qemu-img', 'bitmap', '--add', '-f', 'qcow2', image, 'tracker');
    const server = await nbd.keep(
      startStorageDaemon(
        '--blockdev',
        `driver=file,node-name=file,filename=${image}`,
        '--blockdev',
        'driver=qcow2,node-name=disk,file=file',
        '--export',
        'type=nbd,id=one,node-name=disk,name=writable,writable=on',
        '--export',
        'type=nbd,id=two,node-name=disk,name=tracked,writable=on,bitmaps.0=tracker,allocation-depth=on',
      ),
    );
    const writer = await connectNbd(server.uri('writable'));
    const content = randomBytes(MIB);
    await writer.write(3 * MIB, content, { fua: true });
    expect(writer.flags).to.include({
      readOnly: false,
      canTrim: true,
      canWriteZeroes: true,
      canFastZero: true,
    });
    await writer.close();
    const contexts = await listMetaContexts(server.uri('tracked'));
    expect(contexts).to.have.members([BASE_ALLOCATION, 'qemu:allocation-depth', 'qemu:dirty-bitmap:tracker']);
    const reader = await connectNbd(server.uri('tracked'), { metaContexts: contexts });
    expect((await reader.read(3 * MIB, MIB)).equals(content)).to.equal(true);
    for (const context of [BASE_ALLOCATION, 'qemu:allocation-depth'])
      expect(await collect(reader.statusExtents(context))).to.have.length(3);
    expect((await listExports(server.uri())).map(({ name }) => name)).to.have.members([
      'writable',
      'tracked',
    ]);
    await reader.close();
  });
});
