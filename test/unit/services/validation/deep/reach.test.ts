import { expect } from 'chai';
import fc from 'fast-check';
import type { Extent } from '../../../../../src/shared/extents.js';
import { NO_DAMAGE } from '../../../../../src/services/chain/knownDamage.js';
import { reachOfDamage, withinRanges } from '../../../../../src/services/validation/deep/reach.js';

const UNITS = 8;

/** A layer: what each unit is. `w`: provided and wrong, `p`: provided, `.`: not provided. */
const layer = fc.array(fc.constantFrom('w', 'p', '.'), { minLength: UNITS, maxLength: UNITS });

interface Row {
  id: string;
  parentId: string | null;
  units: string[];
}

const unitsWith = (row: Row, ...kinds: string[]): Extent[] =>
  row.units.flatMap((kind, offset) => (kinds.includes(kind) ? [{ offset, length: 1 }] : []));

async function* stream<T>(items: readonly T[]): AsyncGenerator<T> {
  yield* items;
}

describe('the reach of damage', () => {
  it('is what a reader of the chain would see of it, in every tree of layers', async () => {
    const trees = fc.array(fc.record({ units: layer, up: fc.nat({ max: 3 }) }), {
      minLength: 1,
      maxLength: 7,
    });
    await fc.assert(
      fc.asyncProperty(trees, async (layers) => {
        const rows = layers.map(({ units, up }, i): Row => {
          const parent = i - 1 - (up % i || 0);
          return { id: `b${i}`, parentId: i === 0 ? null : `b${parent}`, units };
        });
        const reaches = await reachOfDamage(
          rows,
          (row) => ({ wrong: unitsWith(row, 'w'), unproved: [] }),
          (row, ranges) => withinRanges(stream(unitsWith(row, 'w', 'p')), ranges),
        );
        for (const row of rows) {
          const seen = Array.from({ length: UNITS }, (_, unit) => providerOf(rows, row, unit));
          const expected = seen.flatMap((of, unit) => (of?.units[unit] === 'w' ? [`${unit} ${of.id}`] : []));
          const found = reaches
            .get(row.id)
            ?.wrong.flatMap(({ offset, length, backupId }) =>
              Array.from({ length }, (_, i) => `${offset + i} ${backupId}`),
            );
          expect(found).to.deep.equal(expected);
        }
      }),
      { numRuns: 300 },
    );
  });

  it('is not proved through a layer without an index, and asks none where nothing is damaged', async () => {
    const rows = ['a', 'b', 'c'].map((id, i) => ({ id, parentId: ['', 'a', 'b'][i] || null }));
    const asked: string[] = [];
    const damage = { wrong: [{ offset: 5, length: 2 }], unproved: [] };
    const reaches = await reachOfDamage(
      rows,
      ({ id }) => (id === 'b' ? damage : NO_DAMAGE),
      async ({ id }) => {
        asked.push(id);
        return undefined;
      },
    );
    expect(asked).to.deep.equal(['c']);
    expect(reaches.get('b')?.wrong).to.deep.equal([{ offset: 5, length: 2, backupId: 'b' }]);
    expect(reaches.get('c')).to.deep.equal({
      wrong: [],
      unproved: [{ offset: 5, length: 2, backupId: 'b' }],
    });
  });
});

function providerOf(rows: readonly Row[], row: Row, unit: number): Row | undefined {
  if (row.units[unit] !== '.') return row;
  const parent = rows.find(({ id }) => id === row.parentId);
  return parent && providerOf(rows, parent, unit);
}
