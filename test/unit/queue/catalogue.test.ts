import { expect } from 'chai';
import { entryId, parsePayload } from '../../../src/queue/catalogue.js';
import { isStrataError } from '../../../src/shared/errors.js';

describe('Queue entries', () => {
  it('of version 1 are still understood', () => {
    const yesterday = JSON.parse('{"v":1,"job_id":"bkp_01jd3k9v0x2m4n6p8q0r2s4t6v","delivery":3}') as unknown;
    expect(parsePayload(yesterday)).to.deep.equal({
      v: 1,
      job_id: 'bkp_01jd3k9v0x2m4n6p8q0r2s4t6v',
      delivery: 3,
    });
  });

  it('that Strata has not written are refused', () => {
    for (const raw of [
      null,
      7,
      'x',
      {},
      { v: 2, job_id: 'bkp_1', delivery: 1 },
      { v: 1, job_id: '../x', delivery: 1 },
      { v: 1, job_id: 'bkp_1' },
    ]) {
      expect(() => parsePayload(raw), JSON.stringify(raw))
        .to.throw()
        .and.satisfy((error: unknown) => isStrataError(error, 'invalid_request'));
    }
  });

  it('have ids that BullMQ accepts: no colon, no integer', () => {
    expect(entryId('bkp_1', 2)).to.equal('bkp_1-2');
  });
});
