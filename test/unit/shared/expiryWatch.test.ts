import { expect } from 'chai';
import type { Clock } from '../../../src/shared/clock.js';
import { createExpiryWatch } from '../../../src/shared/expiryWatch.js';

const LONGEST = 20_000;

describe('What runs out by the clock of a database', () => {
  /** Time as it passes here, and the database's, which may be set. */
  let passed = 0;
  let theirs = 0;
  beforeEach(() => {
    passed = 1_000;
    theirs = 1_790_000_000_000;
  });
  const clock = { monotonicMs: () => passed } as Clock;
  const pass = (ms: number) => {
    passed += ms;
    theirs += ms;
  };
  const create = () => {
    const watch = createExpiryWatch(clock, LONGEST);
    return (until: number, token = 'first') => {
      const seen = [{ key: 'chain', token: `${token} ${until}`, leftMs: until - theirs }];
      return watch.look(seen, new Date(theirs)).has('chain');
    };
  };

  it('runs out when its time has passed', () => {
    const ranOut = create();
    const until = theirs + LONGEST;
    expect(ranOut(until)).to.equal(false);
    pass(LONGEST - 1);
    expect(ranOut(until)).to.equal(false);
    pass(1);
    expect(ranOut(until)).to.equal(true);
  });

  it('has run out when it is seen so for the first time', () => {
    expect(create()(theirs - 1)).to.equal(true);
  });

  it('does not run out while it is renewed', () => {
    const ranOut = create();
    for (let n = 0; n < 10; n++) {
      expect(ranOut(theirs + LONGEST)).to.equal(false);
      pass(LONGEST - 1);
    }
  });

  it('of a dead holder is not held longer because the clock was set back', () => {
    for (const back of [60_000, 3_600_000, 86_400_000]) {
      const ranOut = create();
      const until = theirs + LONGEST;
      expect(ranOut(until)).to.equal(false);
      pass(5_000);
      theirs -= back;
      expect(ranOut(until)).to.equal(false);
      pass(LONGEST - 5_000);
      expect(ranOut(until)).to.equal(true);
    }
  });

  it('that was taken just before the clock was set back is held for no longer than anything may be', () => {
    const until = theirs + LONGEST;
    theirs -= 86_400_000;
    const ranOut = create();
    expect(ranOut(until)).to.equal(false);
    pass(LONGEST);
    expect(ranOut(until)).to.equal(true);
  });

  it('of a living holder is not taken because the clock was set forward', () => {
    const ranOut = create();
    const [old, young] = [theirs + LONGEST, theirs + LONGEST + 1];
    expect(ranOut(old)).to.equal(false);
    pass(5_000);
    theirs += 3_600_000;
    expect(ranOut(old), 'one that was seen before').to.equal(false);
    expect(ranOut(young, 'second'), 'one that was not').to.equal(false);
    pass(5_000);
    expect(ranOut(theirs + LONGEST, 'second'), 'renewed').to.equal(false);
  });

  it('of a dead holder runs out, a little later, although the clock was set forward', () => {
    const ranOut = create();
    ranOut(theirs + LONGEST);
    const young = theirs + LONGEST;
    theirs += 3_600_000;
    expect(ranOut(young, 'second')).to.equal(false);
    pass(LONGEST);
    expect(ranOut(young, 'second')).to.equal(true);
  });
});
