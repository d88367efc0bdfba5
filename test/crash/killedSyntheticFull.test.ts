import {
  createBenches,
  inTurn,
  type KillPoint,
  type MergeCase,
  sweep,
  WHOLE,
} from '../helpers/mergeSweep.js';
import { chainWithSibling, linearChain } from '../helpers/mergeBench.js';

/** The latest backup becomes a full; nothing is removed. */
const ALL_CASES: MergeCase[] = [
  { title: 'three layers', steps: linearChain(2), remove: [] },
  { title: 'five layers', steps: linearChain(4), remove: [] },
  { title: 'a differential beside two increments', steps: chainWithSibling(2), remove: [] },
];
const CASES = WHOLE ? ALL_CASES : [ALL_CASES[new Date().getDate() % ALL_CASES.length] as MergeCase];

describe('A synthetic full that is killed', function () {
  this.timeout(WHOLE ? 7_200_000 : 600_000);
  const benches = createBenches(() => undefined);
  after(() => benches.close());

  for (const each of CASES) {
    it(`before or after any operation, or cut by a loss of power, loses no point: ${each.title}`, async () => {
      const done = await sweep(await benches.get(each), 'convert', each, beforeAfterAndWithoutPower);
      console.log(`      ${done}`);
    });
  }
});

function beforeAfterAndWithoutPower(operations: number): KillPoint[] {
  const points = Array.from({ length: operations }, (_, n): KillPoint[] => [
    { at: n + 1, when: 'before' },
    { at: n + 1, when: 'after' },
    { at: n + 1, when: 'before', loss: 0 },
  ]);
  return inTurn(points.flat());
}
