import { expect } from 'chai';
import { rateOf } from '../../../src/db/job/rate.js';

describe('What a job may move', () => {
  it('is without limit where neither it nor its repository has one', () => {
    expect(rateOf({ own: null, repository: null, othersRunning: 5 })).to.equal(null);
  });

  it('is an equal share of its repository, or its own limit where that is less', () => {
    expect(rateOf({ own: null, repository: 1000, othersRunning: 0 })).to.equal(1000);
    expect(rateOf({ own: null, repository: 1000, othersRunning: 2 })).to.equal(333);
    expect(rateOf({ own: 100, repository: 1000, othersRunning: 2 })).to.equal(100);
    expect(rateOf({ own: 700, repository: 1000, othersRunning: 2 })).to.equal(333);
    expect(rateOf({ own: 700, repository: null, othersRunning: 2 })).to.equal(700);
  });

  it('is never nothing: a job with a lease goes on', () => {
    expect(rateOf({ own: null, repository: 2, othersRunning: 9 })).to.equal(1);
  });
});
