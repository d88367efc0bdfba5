import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { BackupJob } from '../../../../src/entities/index.js';
import { mapImage } from '../../../../src/qcow2/index.js';
import { loadLayers } from '../../../../src/services/chain/index.js';
import { mergeRun } from '../../../../src/services/consolidation/merge.js';
import { createProgress } from '../../../../src/services/consolidation/progress.js';
import { openPlace } from '../../../../src/services/job/openPlace.js';
import { systemClock } from '../../../../src/shared/clock.js';
import type { FixtureBackup } from '../../../helpers/chainFixture.js';
import { hold } from '../../../helpers/chainJobs.js';
import { codeOf } from '../../../helpers/codeOf.js';
import { linearChain, type MergeBench, openMergeBench } from '../../../helpers/mergeBench.js';
import { runTool } from '../../../helpers/runTool.js';
import { flip, L2_TABLE_AT, overwriteBytes } from '../validation/faultTools.js';
import { underLease } from '../../../../src/services/job/under.js';

const BLOCK = 65536;
const MIB = 1024 ** 2;

/** Where a file keeps what the guest has at an offset. */
async function placeOf(path: string, guestOffset: number): Promise<number> {
  for await (const { start, length, offset } of mapImage({
    type: 'file',
    path,
    format: 'qcow2',
    noBacking: true,
  })) {
    if (offset !== undefined && start <= guestOffset && guestOffset < start + length)
      return offset + guestOffset - start;
  }
  throw new Error(`${path} holds nothing at ${guestOffset}.`);
}

const write = (path: string, what: string) => runTool('qemu-io', '-f', 'qcow2', '-c', `write ${what}`, path);

/** What becomes of a merged file between the merge and the proof. Of the chain, 1 holds 0 to 6 MiB; 2 and 3 are merged. */
const FAULTS: { title: string; inflict: (image: string, digests: string) => Promise<unknown> }[] = [
  {
    title: 'a byte that the increment below the top has written',
    inflict: async (image) => flip(image, await placeOf(image, 1 * MIB + 100)),
  },
  {
    title: 'a byte that the top has written',
    inflict: async (image) => flip(image, await placeOf(image, 2 * MIB + 100)),
  },
  {
    title: 'a cluster more, over data below',
    inflict: (image) => write(image, `-P 0x77 ${3 * MIB} ${BLOCK}`),
  },
  {
    title: 'a cluster more, where nothing lies below',
    inflict: (image) => write(image, `-P 0x77 ${7 * MIB} ${BLOCK}`),
  },
  {
    title: 'a cluster of zeros more, over data below',
    inflict: (image) => write(image, `-z ${3 * MIB} ${BLOCK}`),
  },
  {
    title: 'an entry of its L2 table less',
    inflict: (image) => overwriteBytes(image, L2_TABLE_AT + ((1 * MIB) / BLOCK) * 8, Buffer.alloc(8)),
  },
  {
    title: 'another digest in its index',
    inflict: (_, digests) => flip(digests, 150),
  },
];

describe('The proof of a merged file that stands on others', function () {
  this.timeout(120_000);
  let bench: MergeBench;
  before(async () => {
    bench = await openMergeBench(linearChain(3));
  });
  beforeEach(() => bench.reset());
  after(() => bench.close());

  const accuse = ({ id }: FixtureBackup) =>
    bench.ds.query('UPDATE backup_jobs SET content_wrong_at = UTC_TIMESTAMP(3) WHERE id = ?', [id]);
  const isAccused = async ({ id }: FixtureBackup) =>
    (await bench.ds.getRepository(BackupJob).findOneByOrFail({ id })).contentWrongAt !== null;

  const kept = () => [bench.at(1), bench.at(3), bench.at(4)];
  /** Merges the second backup into the third; `meanwhile` has the merged file before it is proved. */
  const merge = async (
    strategy: 'copy' | 'in_place',
    meanwhile: (image: string, digests: string) => Promise<unknown> = () => Promise.resolve(),
  ) => {
    const { ds, chain, suite } = bench;
    const held = await hold(ds, 'maintenance', await bench.add(bench.at(2)));
    const layers = await loadLayers(ds, chain.chainId);
    const [base, run, top] = layers;
    if (!base || !run || !top) throw new Error('The chain is too short.');
    const under = underLease({ ds, clock: systemClock, scratchDir: suite.tempDir }, held, () => undefined);
    const place = await openPlace(under, 'maintenance');
    const work = { ...under, place, progress: createProgress(() => undefined, 0) };
    const partial = async (end: string) => {
      const name = (await readdir(chain.directory)).find(
        (each) => each.startsWith('.') && each.includes(end),
      );
      return join(chain.directory, name ?? '');
    };
    await mergeRun(work, { top, run: [run], below: [base], forced: strategy }, async (step) => {
      if (step === 'merged') await meanwhile(await partial('.qcow2.'), await partial('.digests.'));
    });
  };

  for (const { title, inflict } of FAULTS) {
    it(`refuses ${title}, and nothing is given up`, async () => {
      // The restore point was accused before, and is right: it is cleared, and what was written is not.
      await accuse(bench.at(3));
      const code = await codeOf(merge('copy', inflict));
      expect(code).to.be.oneOf(['target_unreliable', 'digest_index_invalid']);
      if (code === 'target_unreliable') expect(await isAccused(bench.at(3))).to.equal(false);
      await bench.comparePoints([...kept(), bench.at(2)], title);
      expect(await readdir(bench.chain.directory)).to.have.lengthOf(12);
    });
  }

  it('accuses the restore point where it is not what it was itself', async () => {
    const code = await codeOf(
      merge('copy', async (image) => {
        await flip(image, await placeOf(image, 2 * MIB + 100));
        await flip(bench.at(3).image, await placeOf(bench.at(3).image, 2 * MIB + 200));
      }),
    );
    expect(code).to.equal('content_mismatch');
    expect(await isAccused(bench.at(3))).to.equal(true);
  });

  it('refuses in place as well, and the kept points read as before', async () => {
    for (const { title, inflict } of FAULTS.slice(0, 1)) {
      // The point itself stands on the file that was spoilt.
      expect(await codeOf(merge('in_place', inflict)), title).to.equal('content_mismatch');
      await bench.comparePoints([bench.at(1)], title);
    }
  });

  for (const strategy of ['copy', 'in_place'] as const) {
    it(`takes a right one, whatever has become of what lies below: that it has not touched (${strategy})`, async () => {
      const { image } = bench.at(1);
      const rotten = await placeOf(image, 5 * MIB);
      await flip(image, rotten);
      await bench.attempt(await bench.add(bench.at(2)), strategy);
      await flip(image, rotten);
      await bench.comparePoints(kept(), 'put right again');
      await bench.expectDone(kept(), 'put right again');
    });
  }
});
