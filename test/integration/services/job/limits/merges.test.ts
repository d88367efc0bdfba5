import { expect } from 'chai';
import type { ChainStep } from '../../../../helpers/chainFixture.js';
import { type How, type MergeBench, openMergeBench } from '../../../../helpers/mergeBench.js';

const MIB = 1024 ** 2;
const RATE = 8 * MIB;
/** What is moved at once without waiting: a quarter of a second's worth by the engine, a piece by qemu-img. */
const LENIENCE = 0.6;

/** Four layers of 4 MiB. */
const CHAIN = [0, 1, 2, 3].map(
  (n): ChainStep => ({
    type: n === 0 ? 'full' : 'incremental',
    writes: [{ offset: n * 4 * MIB, length: 4 * MIB, pattern: 0x11 + n }],
  }),
);

describe('The bandwidth of merges', function () {
  this.timeout(120_000);
  let bench: MergeBench;
  before(async () => {
    bench = await openMergeBench(CHAIN, undefined, 16 * MIB);
  });
  beforeEach(() => bench.reset());
  after(() => bench.close());

  /** Milliseconds of each phase. */
  const timed = async (run: (how: How) => Promise<unknown>): Promise<Record<string, number>> => {
    const times: Record<string, number> = {};
    let since = performance.now();
    let phase = 'planning';
    const next = (name: string) => {
      const now = performance.now();
      times[phase] = (times[phase] ?? 0) + now - since;
      [since, phase] = [now, name];
    };
    const report = (one: { phase: string }) => next(one.phase);
    await run({ rate: () => RATE, report });
    next('ended');
    return times;
  };
  const expectAtLeast = (times: Record<string, number>, bytes: Record<string, number>) => {
    for (const [phase, moved] of Object.entries(bytes))
      expect(times[phase], `${phase}: ${JSON.stringify(times)}`).to.be.above(
        (LENIENCE * moved * 1000) / RATE,
      );
  };

  it('is what the job may move: of the copied base, of the commit and of the proof', async () => {
    const jobId = await bench.add(bench.at(2));
    const times = await timed((how) => bench.attempt(jobId, 'copy', how));
    // The base is copied, the top committed; the proof reads the two that were merged.
    expectAtLeast(times, { merging: 8 * MIB, proving: 8 * MIB });
    await bench.expectDone([1, 3, 4].map(bench.at), 'copy');
  });

  it('in place is that of the commit, and of the whole point that is proved where it stands alone', async () => {
    const jobId = await bench.add(bench.at(1));
    const times = await timed((how) => bench.attempt(jobId, 'in_place', how));
    expectAtLeast(times, { merging: 4 * MIB, proving: 8 * MIB });
    await bench.expectDone([2, 3, 4].map(bench.at), 'in place');
  });

  it('of a synthetic full is that of what is copied, and of what is read back', async () => {
    const jobId = await bench.addFull();
    const times = await timed((how) => bench.attemptFull(jobId, how));
    expectAtLeast(times, { copying: 16 * MIB, proving: 16 * MIB });
    const all = [1, 2, 3, 4].map(bench.at);
    await bench.comparePoints(all, 'synthetic full');
    await bench.expectDone(all, 'synthetic full');
  });

  describe('that changes in the middle of a commit', () => {
    // qemu-img moves 16 MiB before it waits for the first time, and must not be half done by that.
    const write = (length: number) => [{ offset: 0, length, pattern: 0x77 }];
    const steps: ChainStep[] = [
      { type: 'full', writes: write(MIB) },
      { type: 'incremental', writes: write(MIB) },
      { type: 'incremental', writes: write(40 * MIB) },
    ];
    let big: MergeBench;
    before(async () => {
      big = await openMergeBench(steps, undefined, 40 * MIB);
    });
    beforeEach(() => big.reset());
    after(() => big.close());

    /** Milliseconds of a commit that begins with the one limit and goes on with the other. */
    const mergedIn = async (first: number, then: number | undefined): Promise<number> => {
      let asked = 0;
      let isMerged = false;
      const jobId = await big.add(big.at(2));
      const times = await timed((how) => {
        const report: How['report'] = (one) => {
          isMerged ||= one.phase === 'proving';
          how.report?.(one);
        };
        // The first to ask is the commit.
        const changed = () => (asked++ === 0 ? first : then);
        return big.attempt(jobId, 'in_place', { rate: () => (isMerged ? undefined : changed()), report });
      });
      const kept = [big.at(1), big.at(3)];
      await big.comparePoints(kept, 'changed');
      await big.expectDone(kept, 'changed');
      return times['merging'] ?? 0;
    };

    it('stops it where it is lowered, and begins it again, and what comes of it is right', async () => {
      // 40 MiB take it 3.3 s, or, begun again, 7 s.
      expect(await mergedIn(12 * MIB, 5 * MIB)).to.be.above(5_000);
    });

    it('does the same where it is raised, or taken away', async () => {
      // It would take 96 s.
      for (const raised of [64 * MIB, undefined]) {
        await big.reset();
        expect(await mergedIn(MIB / 4, raised)).to.be.below(20_000);
      }
    });
  });
});
