import { once } from 'node:events';
import { access, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { copyChanges, copyDifferences, copyFull, type OpenSource } from '../../../../src/datapath/index.js';
import { StrataError } from '../../../../src/shared/errors.js';
import { codeOf } from '../../../helpers/codeOf.js';
import { startNbdkit, startQemuNbd } from '../../../helpers/nbdServers.js';
import {
  createOverlay,
  inWorkshop,
  layerJob,
  openIn,
  tool,
  withSource,
  type Workshop,
  type Write,
  writeRaw,
} from '../disks.js';

const MIB = 1024 * 1024;
const SIZE = 32 * MIB;
/** What the design promises for an abort, in ms. */
const ABORT_MS = 2000;

/** Random bytes in the first half of the disk, an I/O error in the second. */
const FAILING_READ = `[ $4 -lt ${SIZE / 2} ] || { echo EIO bad >&2; exit 1; }; head -c $3 /dev/urandom`;

const NO_AUDIT = { blocks: 0, seed: '' };
const whole = [{ offset: 0, length: SIZE }];

/** Processes that have the workshop's folder in their command line. */
async function processesOf(shop: Workshop): Promise<string[]> {
  const found: string[] = [];
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    const line = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
    if (line.includes(shop.dir)) found.push(line.replaceAll('\0', ' '));
  }
  return found;
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

/** What a copy of changes onto the full takes. */
function changesJob(shop: Workshop, source: OpenSource, name = 'inc') {
  return { ...layerJob(shop, source, name), parentLayers: [shop.path('full.digests')], audit: NO_AUDIT };
}

/** A full of zeros, if nothing else is written, with its index, and an empty overlay on it. */
async function emptyChain(shop: Workshop, writes: Write[] = []): Promise<string> {
  await writeRaw(shop.path('zero.raw'), SIZE, writes);
  await withSource(shop, { type: 'file', path: shop.path('zero.raw'), format: 'raw' }, (source) =>
    copyFull({ ...layerJob(shop, source, 'full'), target: shop.path('full.qcow2') }),
  );
  return createOverlay(shop, 'inc', 'full', SIZE);
}

type Operation = (shop: Workshop, uri: string, overlay: string, signal: AbortSignal) => Promise<unknown>;

const operations: Record<string, Operation> = {
  copyChanges: (shop, uri, overlay, signal) =>
    withSource(shop, { type: 'nbd', uri }, (source) =>
      copyChanges({ ...changesJob(shop, source), overlay, extents: whole, signal }),
    ),
  copyDifferences: (shop, uri, overlay, signal) =>
    withSource(shop, { type: 'nbd', uri }, (source) =>
      copyDifferences({
        ...layerJob(shop, source, 'inc'),
        overlay,
        parentLayers: [shop.path('full.digests')],
        signal,
      }),
    ),
  copyFull: (shop, uri, _overlay, signal) =>
    withSource(shop, { type: 'nbd', uri }, (source) =>
      copyFull({ ...layerJob(shop, source, 'inc'), target: shop.path('new.qcow2'), signal }),
    ),
};

for (const [name, operation] of Object.entries(operations)) {
  describe(`${name}, when something fails`, () => {
    it('rejects on a read error in the middle of the disk, and leaves nothing running', () =>
      inWorkshop(async (shop) => {
        const overlay = await emptyChain(shop);
        const server = await startNbdkit('eval', `get_size=echo ${SIZE}`, `pread=${FAILING_READ}`);
        try {
          const code = await codeOf(operation(shop, server.uri(), overlay, new AbortController().signal));
          expect(code).to.equal('nbd_io_error');
        } finally {
          await server.stop();
        }
        expect(await exists(shop.path('inc.digests'))).to.equal(false);
        expect(await processesOf(shop)).to.deep.equal([]);
      }));

    it('rejects within two seconds of an abort, with its reason, while the server is silent', () =>
      inWorkshop(async (shop) => {
        const overlay = await emptyChain(shop);
        const server = await startNbdkit('--filter=delay', 'pattern', String(SIZE), 'delay-read=60');
        try {
          const abort = new AbortController();
          const running = codeOf(operation(shop, server.uri(), overlay, abort.signal));
          await sleep(700);
          const start = performance.now();
          abort.abort(new StrataError('lease_lost', 'The lease was lost.'));
          expect(await running).to.equal('lease_lost');
          expect(performance.now() - start).to.be.below(ABORT_MS);
        } finally {
          server.child.kill('SIGKILL');
          await server.stop();
        }
        expect(await exists(shop.path('inc.digests'))).to.equal(false);
        expect(await processesOf(shop)).to.deep.equal([]);
      }));

    it('rejects when the server dies', () =>
      inWorkshop(async (shop) => {
        const overlay = await emptyChain(shop);
        const server = await startNbdkit('--filter=delay', 'pattern', String(SIZE), 'delay-read=60');
        try {
          const running = codeOf(operation(shop, server.uri(), overlay, new AbortController().signal));
          await sleep(700);
          server.child.kill('SIGKILL');
          await once(server.child, 'exit');
          expect(await running).to.equal('nbd_connection_lost');
        } finally {
          await server.stop();
        }
        expect(await processesOf(shop)).to.deep.equal([]);
      }));
  });
}

describe('A copy', () => {
  it('rejects when the overlay is not a writable image, and removes the index', () =>
    inWorkshop(async (shop) => {
      await emptyChain(shop);
      await writeFile(shop.path('junk.qcow2'), Buffer.alloc(65536));
      await withSource(shop, { type: 'file', path: shop.path('zero.raw'), format: 'raw' }, async (source) => {
        const job = { ...changesJob(shop, source, 'junk'), overlay: shop.path('junk.qcow2'), extents: whole };
        expect(await codeOf(copyChanges(job))).to.be.oneOf(['unknown_format', 'tool_failed']);
      });
      expect(await exists(shop.path('junk.digests'))).to.equal(false);
    }));

  it('refuses extents that are out of order or beyond the disk', () =>
    inWorkshop(async (shop) => {
      const overlay = await emptyChain(shop);
      await withSource(shop, { type: 'file', path: shop.path('zero.raw'), format: 'raw' }, async (source) => {
        const job = { ...changesJob(shop, source), overlay };
        const backwards = [
          { offset: MIB, length: 512 },
          { offset: 0, length: 512 },
        ];
        expect(await codeOf(copyChanges({ ...job, extents: backwards }))).to.equal('extents_invalid');
        const beyond = [{ offset: SIZE - 512, length: 1024 }];
        expect(await codeOf(copyChanges({ ...job, extents: beyond }))).to.equal('extents_out_of_range');
        expect(await codeOf(copyChanges({ ...job, extents: [], virtualSizeBytes: SIZE + 512 }))).to.equal(
          'source_changed',
        );
      });
    }));

  it('stops when a digest index below turns out to be damaged', () =>
    inWorkshop(async (shop) => {
      const overlay = await emptyChain(shop);
      const bytes = await readFile(shop.path('full.digests'));
      bytes[140] = (bytes[140] ?? 0) ^ 4;
      await writeFile(shop.path('full.digests'), bytes);
      await withSource(shop, { type: 'file', path: shop.path('zero.raw'), format: 'raw' }, async (source) => {
        const job = { ...layerJob(shop, source, 'inc'), overlay, parentLayers: [shop.path('full.digests')] };
        expect(await codeOf(copyDifferences(job))).to.equal('digest_index_invalid');
      });
      expect(await exists(shop.path('inc.digests'))).to.equal(false);
    }));

  it('neither reads nor transfers changed ranges that are known to be zero', () =>
    inWorkshop(async (shop) => {
      const overlay = await emptyChain(shop, [{ offset: 0, length: MIB }]);
      await rm(shop.path('zero.raw'));
      await writeRaw(shop.path('zero.raw'), SIZE, []);
      const server = await startQemuNbd(shop.path('zero.raw'), '-f', 'raw', '-r');
      try {
        await withSource(shop, { type: 'nbd', uri: server.uri() }, async (source) => {
          const result = await copyChanges({ ...changesJob(shop, source), overlay, extents: whole });
          expect(result).to.include({
            bytesRead: 0,
            bytesWritten: 0,
            dataBlocks: 0,
            zeroBlocks: MIB / 65536,
          });
        });
      } finally {
        await server.stop();
      }
    }));

  it('keeps to its rate limit', () =>
    inWorkshop(async (shop) => {
      const overlay = await emptyChain(shop);
      await writeRaw(shop.path('zero.raw'), SIZE, [{ offset: 0, length: 4 * MIB }]);
      await withSource(shop, { type: 'file', path: shop.path('zero.raw'), format: 'raw' }, async (source) => {
        const start = performance.now();
        await copyChanges({
          ...changesJob(shop, source),
          overlay,
          extents: [{ offset: 0, length: 3 * MIB }],
          rate: () => 2 * MIB,
        });
        expect(performance.now() - start).to.be.within(1200, 6000);
      });
    }));

  it('reports progress that only grows and ends at the total', () =>
    inWorkshop(async (shop) => {
      await writeRaw(shop.path('disk.raw'), SIZE, [{ offset: 0, length: 24 * MIB }]);
      const source = await openIn(shop, { type: 'file', path: shop.path('disk.raw'), format: 'raw' });
      const seen: number[] = [];
      let total = 0;
      try {
        await copyFull({
          ...layerJob(shop, source, 'full'),
          target: shop.path('full.qcow2'),
          onProgress: ({ bytesDone, bytesTotal }) => {
            seen.push(bytesDone);
            total = bytesTotal;
          },
        });
      } finally {
        await source.close();
      }
      expect(seen).to.deep.equal(seen.toSorted((a, b) => a - b));
      expect(seen.at(-1)).to.equal(total);
      await tool(
        'qemu-img',
        'compare',
        '-f',
        'qcow2',
        '-F',
        'raw',
        shop.path('full.qcow2'),
        shop.path('disk.raw'),
      );
    }));
});
