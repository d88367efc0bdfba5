import { expect } from 'chai';
import { randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import {
  BASE_ALLOCATION,
  type BlockStatus,
  connectNbd,
  listExports,
} from '../../../../src/datapath/nbd/index.js';
import { codeOf } from '../../../helpers/codeOf.js';
import { useNbdServers } from '../../../helpers/nbdSuite.js';

const MIB = 1024 * 1024;
const nbd = useNbdServers();

/** nbdkit's pattern plugin: each 8 bytes hold their own offset. */
function pattern(offset: number, length: number): Buffer {
  const bytes = Buffer.alloc(length);
  for (let at = 0; at < length; at += 8) bytes.writeBigUInt64BE(BigInt(offset + at), at);
  return bytes;
}

async function collect(extents: AsyncIterable<BlockStatus>): Promise<BlockStatus[]> {
  const all: BlockStatus[] = [];
  for await (const extent of extents) all.push(extent);
  return all;
}

describe('NBD client with nbdkit', () => {
  const dialects: [string, string[]][] = [
    ['structured replies', []],
    ['simple replies (--no-sr)', ['--no-sr']],
    ['a server of the first newstyle, without options (--mask-handshake=0)', ['--mask-handshake=0']],
    ['a server that keeps its 124 zero bytes', ['--mask-handshake=1']],
  ];
  for (const [what, args] of dialects) {
    it(`reads a pattern with 16 requests in flight that are answered out of order, over ${what}`, async () => {
      const server = await nbd.nbdkit(
        ...args,
        '--filter=delay',
        'pattern',
        '16M',
        'delay-read=50ms',
        '-t',
        '16',
      );
      const client = await connectNbd(server.uri(), { metaContexts: [BASE_ALLOCATION] });
      expect(client.metaContexts).to.deep.equal(args.length === 0 ? [BASE_ALLOCATION] : client.metaContexts);
      const begun = performance.now();
      await Promise.all(
        Array.from({ length: 128 }, async (_, i) => {
          const offset = ((i * 37) % 128) * 128 * 1024;
          expect((await client.read(offset, 128 * 1024)).equals(pattern(offset, 128 * 1024))).to.equal(true);
        }),
      );
      // 128 reads of 50 ms one after another would take 6,400 ms.
      expect(performance.now() - begun).to.be.below(3500);
      await client.close();
    });
  }

  it('refuses an oldstyle server as nbd_protocol_error', async () => {
    const server = await nbd.nbdkit('-o', 'memory', '1M');
    expect(await codeOf(connectNbd(server.uri()))).to.equal('nbd_protocol_error');
  });

  it('keeps to the limits of a server that refuses whatever is beyond them', async () => {
    const server = await nbd.nbdkit(
      '--filter=blocksize-policy',
      'memory',
      '8M',
      'blocksize-error-policy=error',
      'blocksize-minimum=4096',
      'blocksize-preferred=64k',
      'blocksize-maximum=128k',
    );
    const client = await connectNbd(server.uri());
    expect(client.block).to.deep.equal({ minimum: 4096, preferred: 65536, maximum: 131072 });
    const content = randomBytes(4 * MIB);
    await client.write(4096, content);
    await client.writeZeroes(5 * MIB, 3 * MIB);
    await client.trim(0, 4096);
    expect((await client.read(4096, 4 * MIB)).equals(content)).to.equal(true);
    for (const work of [
      client.read(0, 512),
      client.read(512, 4096),
      client.write(100, Buffer.alloc(4096)),
      client.writeZeroes(0, 5),
    ])
      expect(await codeOf(work)).to.equal('nbd_out_of_bounds');
    await client.close();
  });

  it('falls back to smaller requests when a server refuses long ones without data', async () => {
    const log = nbd.file('log');
    const server = await nbd.nbdkit(
      'eval',
      'get_size=echo 1G',
      'can_write=exit 0',
      'can_zero=exit 0',
      'pwrite=exit 0',
      'pread=exit 1',
      `zero=if [ $3 -gt 33554432 ]; then echo 'EINVAL too long' >&2; exit 1; fi; echo "$4 $3" >> ${log}`,
    );
    const client = await connectNbd(server.uri(), { maxInFlight: 2 });
    await client.writeZeroes(0, 1024 * MIB);
    const zeroed = (await readFile(log, 'utf8'))
      .trim()
      .split('\n')
      .map((line) => line.split(' ').map(Number));
    const covered = zeroed
      .toSorted(([a = 0], [b = 0]) => a - b)
      .reduce((end, [offset = -1, length = 0]) => (offset === end ? end + length : -1), 0);
    expect(covered).to.equal(1024 * MIB);
    await client.close();
  });

  it('writes zeros itself to a server that cannot zero', async () => {
    const path = nbd.file('disk');
    await writeFile(path, randomBytes(4 * MIB));
    const server = await nbd.nbdkit('--filter=nozero', 'file', path);
    const client = await connectNbd(server.uri());
    expect(client.flags.canWriteZeroes).to.equal(false);
    expect(await codeOf(client.writeZeroes(0, 512, { fast: true }))).to.equal('nbd_refused');
    await client.writeZeroes(1000, 3 * MIB);
    expect((await client.read(1000, 3 * MIB)).equals(Buffer.alloc(3 * MIB))).to.equal(true);
    await client.close();
  });

  it('flushes after a write that must be on stable storage when the server has no FUA', async () => {
    const log = nbd.file('log');
    const server = await nbd.nbdkit(
      'eval',
      'get_size=echo 1M',
      'can_write=exit 0',
      'can_flush=exit 0',
      'can_fua=echo none',
      'pread=exit 1',
      `pwrite=cat > /dev/null; echo write >> ${log}`,
      `flush=echo flush >> ${log}`,
    );
    const client = await connectNbd(server.uri());
    expect(client.flags.canFua).to.equal(false);
    expect(client.flags.canFlush).to.equal(true);
    await client.write(0, Buffer.alloc(512, 1), { fua: true });
    await client.close();
    expect(await readFile(log, 'utf8')).to.equal('write\nflush\n');
  });

  it('sees one allocated extent through noextents, and holes without it', async () => {
    for (const [filters, count] of [
      [[], 4],
      [['--filter=noextents'], 1],
    ] as const) {
      const server = await nbd.nbdkit(...filters, 'data', '@1048576 1*65536 @4194304 0');
      const client = await connectNbd(server.uri(), { metaContexts: [BASE_ALLOCATION] });
      expect(await collect(client.statusExtents(BASE_ALLOCATION))).to.have.length(count);
      await client.close();
    }
  });

  it('walks the status of a heavily fragmented disk, in bounded replies, without a gap', async () => {
    const server = await nbd.nbdkit('sparse-random', '1G', 'seed=5', 'percent=50', 'runlength=16384');
    const client = await connectNbd(server.uri(), { metaContexts: [BASE_ALLOCATION] });
    let end = 0;
    let last = -1;
    let count = 0;
    for await (const { offset, length, flags } of client.statusExtents(BASE_ALLOCATION)) {
      expect(offset).to.equal(end);
      expect(flags).not.to.equal(last);
      end += length;
      last = flags;
      count++;
    }
    expect(end).to.equal(client.sizeBytes);
    expect(count).to.be.above(1000);
    await client.close();
  });

  it('takes what the multi-conn filter says for the flag', async () => {
    for (const mode of ['emulate', 'disable']) {
      const server = await nbd.nbdkit('--filter=multi-conn', 'memory', '1M', `multi-conn-mode=${mode}`);
      const client = await connectNbd(server.uri());
      expect(client.flags.canMultiConn).to.equal(mode === 'emulate');
      await client.close();
    }
  });

  it('lists the exports of the exportname filter, and is refused all others', async () => {
    const server = await nbd.nbdkit(
      '--filter=exportname',
      'memory',
      '1M',
      'exportname=a b',
      'exportname=ü/ö',
      'exportname-strict=true',
      'exportname-list=explicit',
    );
    const names = (await listExports(server.uri())).map(({ name }) => name);
    expect(names).to.have.members(['a b', 'ü/ö']);
    for (const name of names) await (await connectNbd(server.uri(name))).close();
    expect(await codeOf(connectNbd(server.uri('c')))).to.equal('nbd_refused');
  });
});
