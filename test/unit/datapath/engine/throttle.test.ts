import { expect } from 'chai';
import { inScope } from '../../../../src/datapath/engine/scope.js';
import { createThrottle, type RateLimit } from '../../../../src/datapath/engine/throttle.js';
import { underLimit, whileUnlimited } from '../../../../src/datapath/engine/whileUnlimited.js';
import type { Clock } from '../../../../src/shared/clock.js';

/** A clock that only sleeping moves on. */
function sleepingClock() {
  let now = 1000;
  const clock: Clock = {
    now: () => new Date(now),
    monotonicMs: () => now,
    sleep: async (ms) => {
      now += ms;
    },
  };
  return { clock, passed: () => now - 1000, pass: (ms: number) => (now += ms) };
}

describe('A throttle', () => {
  const never = new AbortController().signal;

  it('keeps to its rate, whatever the sizes of the pieces', async () => {
    const { clock, passed } = sleepingClock();
    const throttle = createThrottle(() => 1000, never, clock);
    for (const bytes of [1, 499, 2500, 4000, 3000]) await throttle(bytes);
    expect(passed()).to.be.closeTo(10_000, 1);
  });

  it('catches up no more than a quarter of a second after a pause', async () => {
    const { clock, passed, pass } = sleepingClock();
    const throttle = createThrottle(() => 1000, never, clock);
    pass(60_000);
    await throttle(1000);
    expect(passed()).to.be.closeTo(60_750, 1);
  });

  it('follows a limit that changes while it waits, and one that is taken away', async () => {
    const { clock, passed } = sleepingClock();
    const rates: RateLimit = () => {
      if (passed() < 2000) return 100;
      return passed() < 3000 ? 1000 : undefined;
    };
    const throttle = createThrottle(rates, never, clock);
    await throttle(700);
    expect(passed()).to.be.closeTo(2500, 1);
    await throttle(1_000_000);
    expect(passed()).to.be.closeTo(3000, 1);
  });

  it('ends at once when its signal aborts, for all that wait', async () => {
    const aborting = new AbortController();
    const throttle = createThrottle(() => 1, aborting.signal);
    const waiting = Promise.allSettled([throttle(1_000_000), throttle(1_000_000)]);
    const reason = new Error('enough');
    const since = performance.now();
    setTimeout(() => aborting.abort(reason), 20);
    for (const result of await waiting) expect(result).to.deep.equal({ status: 'rejected', reason });
    expect(performance.now() - since).to.be.below(400);
  });
});

describe('A tool that cannot be slowed down', () => {
  const hang = (signal: AbortSignal) =>
    new Promise<void>((_, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason as Error));
    });

  it('is not even started under a limit', async () => {
    const ran = inScope(undefined, (scope) =>
      whileUnlimited(
        () => 1,
        scope,
        () => expect.fail('It ran.'),
      ),
    );
    expect(await ran).to.equal(false);
  });

  it('is stopped when a limit comes', async () => {
    let rate: number | undefined;
    setTimeout(() => (rate = 1), 20);
    const ran = inScope(undefined, (scope) => whileUnlimited(() => rate, scope, hang));
    expect(await ran).to.equal(false);
  });

  it('is let finish when it has done half of its work', async () => {
    let rate: number | undefined;
    const ran = inScope(undefined, (scope) =>
      whileUnlimited(
        () => rate,
        scope,
        async (signal, onShare) => {
          onShare(0.6);
          rate = 1;
          await new Promise((resolve) => setTimeout(resolve, 700));
          expect(signal.aborted).to.equal(false);
        },
      ),
    );
    expect(await ran).to.equal(true);
  });

  /** The limits with which a tool is begun while they change, each as soon as the one before was seen. */
  const begunWith = async (first: number | undefined, change: (number | undefined)[], share = 0) => {
    const limits: (number | undefined)[] = [];
    let rate = first;
    await underLimit(
      () => rate,
      new AbortController().signal,
      async (limit, signal, onShare) => {
        limits.push(limit);
        onShare(share);
        while (!signal.aborted && change.length > 0) {
          rate = change.shift();
          await new Promise((resolve) => setTimeout(resolve, 600));
        }
        signal.throwIfAborted();
      },
    );
    return limits;
  };

  it('that takes a limit at its beginning is begun again for less than half of it, or more than twice as much, and for no less', async () => {
    // Begun without one, stopped for 100; let go on at 60 and at 150, stopped for 20; let go on at 40, stopped for none.
    expect(await begunWith(undefined, [100, 60, 150, 20, 40, undefined])).to.deep.equal([
      undefined,
      100,
      20,
      undefined,
    ]);
  });

  it('that has done half of its work is let finish at the limit of its beginning', async () => {
    expect(await begunWith(100, [1, undefined], 0.5)).to.deep.equal([100]);
  });

  it('is not begun again for ever by a limit that goes up and down', async () => {
    const upAndDown = Array.from({ length: 3 }, () => [100, 10]).flat();
    expect(await begunWith(10, upAndDown)).to.deep.equal([10, 100, 10, 100, 10]);
  }).timeout(10_000);

  it('gives its own failure, and that of the scope, to the caller', async () => {
    const failure = new Error('no room');
    const failing = inScope(undefined, (scope) =>
      whileUnlimited(undefined, scope, () => Promise.reject(failure)),
    );
    expect(await failing.catch((error: unknown) => error)).to.equal(failure);
    const aborting = new AbortController();
    const ended = inScope(aborting.signal, (scope) => whileUnlimited(undefined, scope, hang));
    aborting.abort(failure);
    expect(await ended.catch((error: unknown) => error)).to.equal(failure);
  });
});
