import { readFile, writeFile } from 'node:fs/promises';
import { expect } from 'chai';
import type { DataSource } from 'typeorm';
import { buildChain, nthBackup } from '../../../helpers/chainFixture.js';
import { createRandom } from '../../../helpers/random.js';
import { type DatabaseSuite, openDatabaseSuite } from '../../../helpers/openSuite.js';
import { expectContained, expectFound, expectNoHarm } from './faultTable/expect.js';
import { FAULT_KINDS, type FaultKind } from './faultTable/kinds.js';
import { observe } from './faultTable/observe.js';
import { type LayerName, LAYERS, renderHead, renderRow } from './faultTable/render.js';

const DOCUMENT = new URL('../../../../../docs/validation.md', import.meta.url);
const TABLE = /(?<=<!-- faults: begin .*-->\n).*(?=<!-- faults: end -->)/s;
/** With it, every fault is put into every layer, so many times; without it every second one into one layer, by turns of days. */
const ROUNDS = Number(process.env['STRATA_FAULT_ROUNDS'] ?? 0);
const REWRITE = process.env['STRATA_UPDATE_GOLDEN'] !== undefined;
const EVERYWHERE = ROUNDS > 0 || REWRITE;
const DAY = new Date().getDate();

describe('A fault in a repository', function () {
  this.timeout(120_000);
  let suite: DatabaseSuite;
  let ds: DataSource;
  const rows: string[] = [];

  before(async () => {
    suite = await openDatabaseSuite();
    ({ ds } = suite);
  });

  after(() => suite.close());

  const meet = async (kind: FaultKind, layer: LayerName, seed: number): Promise<string> => {
    const random = createRandom(seed);
    const chain = await buildChain(ds, suite.tempDir);
    const number = { base: 1, middle: random.integer(2, 3), tip: 4 }[layer];
    const at = (wanted: number) => nthBackup(chain, wanted);
    const place = { chain, number, at, random, tempDir: suite.tempDir };
    const seen = await observe(suite, kind, place);
    const context = `${kind.title}, ${layer}, seed ${seed}`;
    expectFound(place, seen, context);
    expectNoHarm(place, seen, context);
    expectContained(seen, context);
    return renderRow(kind.title, layer, seen);
  };

  for (const [index, kind] of FAULT_KINDS.entries()) {
    for (const [depth, layer] of LAYERS.entries()) {
      if (!EVERYWHERE && (index % 2 !== DAY % 2 || (index + DAY) % LAYERS.length !== depth)) continue;
      it(`(${kind.title}, ${layer}) is found and contained, and no healthy point is called damaged`, async () => {
        rows.push(await meet(kind, layer, 1000 + index));
        for (let round = 1; round < ROUNDS; round++) await meet(kind, layer, 1000 * (round + 1) + index);
      });
    }
  }

  it('comes to what docs/validation.md says', async () => {
    const text = await readFile(DOCUMENT, 'utf8');
    const table = `${[renderHead(), ...rows].join('\n')}\n`;
    if (REWRITE)
      await writeFile(
        DOCUMENT,
        text.replace(TABLE, () => table),
      );
    const written = (await readFile(DOCUMENT, 'utf8')).match(TABLE)?.[0] ?? '';
    if (EVERYWHERE) expect(written).to.equal(table);
    else for (const row of rows) expect(written).to.contain(row);
  });
});
