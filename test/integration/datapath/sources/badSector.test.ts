import { type FileHandle, open } from 'node:fs/promises';
import { expect } from 'chai';
import { createHashPool, type HashPool, INLINE_BATCHES } from '../../../../src/datapath/engine/hashPool.js';
import { rawReader } from '../../../../src/datapath/sources/rawReader.js';
import { openSource } from '../../../../src/datapath/index.js';
import { asStrataError, errnoOf, StrataError } from '../../../../src/shared/errors.js';
import { sourceReadError } from '../../../../src/shared/sourceReadError.js';
import { inWorkshop, writeRaw } from '../disks.js';

const MIB = 1024 * 1024;

const failure = (work: Promise<unknown>): Promise<StrataError> =>
  work.then(
    () => expect.fail('It did not fail.'),
    (error: unknown) => {
      if (error instanceof StrataError) return error;
      throw error;
    },
  );

/** The first page of a process is never mapped: the kernel answers a read of it with EIO, as for a bad sector. */
describe('A sector that cannot be read', () => {
  let bad: FileHandle;
  beforeEach(async () => {
    bad = await open('/proc/self/mem', 'r');
  });
  afterEach(() => bad.close());

  const expectSourceToBlame = (error: StrataError) => {
    expect(error).to.include({ code: 'source_io_error', outcome: 'retry' });
    expect(errnoOf(error.cause)).to.equal('EIO');
  };

  it("fails a raw source as the source's own trouble, with the cause, and not as an absent repository", async () => {
    expectSourceToBlame(await failure(rawReader(bad, sourceReadError).read(0, Buffer.alloc(512))));
  });

  it('leaves the reason of a reader that was destroyed as it is', async () => {
    const reader = rawReader(bad, sourceReadError);
    const reason = Object.assign(new Error('stopped'), { code: 'EIO' });
    reader.destroy(reason);
    expect(await reader.read(0, Buffer.alloc(512)).catch((error: unknown) => error)).to.equal(reason);
  });

  const poolFailures = async (pool: HashPool): Promise<StrataError[]> => {
    const place = { file: { fd: bad.fd }, offset: 0 };
    const reads = [{ at: 0, length: 65_536, place }];
    const batch = { blocks: [{ first: 0, end: 1 }], length: 65_536, reads };
    try {
      // One after the other; the last is read by a thread.
      const found: StrataError[] = [];
      for (let n = 0; n <= INLINE_BATCHES; n++) found.push(await failure(pool.hash(batch)));
      return found;
    } finally {
      await pool.close();
    }
  };

  it("is the source's trouble in a comparison by digests too, on the main thread and on the others", async () => {
    for (const error of await poolFailures(createHashPool({ readError: sourceReadError })))
      expectSourceToBlame(error);
  });

  it("of an image of Strata's own is still the repository's", async () => {
    for (const error of await poolFailures(createHashPool({ readError: asStrataError }))) {
      expect(error).to.include({ code: 'repository_unavailable', outcome: 'wait' });
    }
  });

  it('is taken so by every file source that came through the checks', () =>
    inWorkshop(async (shop) => {
      await writeRaw(shop.path('disk.raw'), MIB, []);
      const policy = { roots: [shop.dir], nbdAllow: [], scratchDir: shop.scratchDir };
      const source = await openSource({ type: 'file', path: shop.path('disk.raw'), format: 'raw' }, policy);
      const stale = Object.assign(new Error('gone'), { code: 'ESTALE' });
      expect(source.readError(stale)).to.include({ code: 'source_io_error', cause: stale });
      await source.close();
    }));
});
