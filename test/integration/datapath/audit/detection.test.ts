import { rm } from 'node:fs/promises';
import { expect } from 'chai';
import { createSeededRandom } from '../../../../src/datapath/audit/seededRandom.js';
import { copyChanges, copyFull } from '../../../../src/datapath/index.js';
import { createOverlay, inWorkshop, layerJob, withSource, type Workshop, writeRaw } from '../disks.js';

const BLOCK = 65_536;
const BLOCKS = 1024;
const SIZE = BLOCKS * BLOCK;
const SAMPLE = 64;
const TRIALS = Number(process.env.STRATA_AUDIT_TRIALS ?? 2);

/** Copies an empty change list of a disk in which these blocks have changed; true when the audit finds it out. */
async function isCaught(shop: Workshop, seed: string): Promise<boolean> {
  const overlay = await createOverlay(shop, 'inc', 'full', SIZE);
  const { audit } = await withSource(
    shop,
    { type: 'file', path: shop.path('disk.raw'), format: 'raw' },
    (source) =>
      copyChanges({
        ...layerJob(shop, source, 'inc'),
        overlay,
        extents: [],
        parentLayers: [shop.path('full.digests')],
        audit: { blocks: SAMPLE, seed },
      }),
  );
  // And the last block, where it was not drawn.
  expect(audit.sampled).to.be.within(SAMPLE, SAMPLE + 1);
  await rm(overlay);
  await rm(shop.path('inc.digests'));
  return audit.differing.length > 0;
}

describe('The audit of a change list that lies about a real disk', () => {
  for (const changed of [0, 1, 10, 102]) {
    it(`sees ${changed} of 1,024 blocks that it leaves out as often as chance allows`, function () {
      this.timeout(60_000 + TRIALS * 5_000);
      return inWorkshop(async (shop) => {
        await writeRaw(shop.path('disk.raw'), SIZE, [{ offset: 0, length: SIZE }]);
        await withSource(shop, { type: 'file', path: shop.path('disk.raw'), format: 'raw' }, (source) =>
          copyFull({ ...layerJob(shop, source, 'full'), target: shop.path('full.qcow2') }),
        );
        const random = createSeededRandom(`${changed}`);
        const blocks = new Set<number>();
        while (blocks.size < changed) blocks.add(Math.floor(random() * BLOCKS));
        const writes = [...blocks].map((block) => ({ offset: block * BLOCK + 4096, length: 512 }));
        await writeRaw(shop.path('disk.raw'), SIZE, writes);
        let caught = 0;
        for (let trial = 0; trial < TRIALS; trial++) if (await isCaught(shop, `trial ${trial}`)) caught++;
        const expected = blocks.has(BLOCKS - 1) ? 1 : 1 - (1 - changed / BLOCKS) ** SAMPLE;
        if (process.env.STRATA_AUDIT_TRIALS) {
          console.log(
            `| ${changed} of ${BLOCKS} | ${(expected * 100).toFixed(1)} % | ${caught} of ${TRIALS} |`,
          );
        }
        const margin = 4 * Math.sqrt((expected * (1 - expected)) / TRIALS) + 2e-3;
        expect(caught / TRIALS).to.be.closeTo(expected, margin);
      });
    });
  }
});
