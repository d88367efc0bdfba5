import { expect } from 'chai';
import { decideFailure } from '../../../../src/services/job/decideFailure.js';
import { ERRORS, type ErrorCode } from '../../../../src/shared/errorCodes.js';
import { StrataError } from '../../../../src/shared/errors.js';

const DEADLINE_MS = 100_000;
const decide = (code: ErrorCode, attempt = 1, ageMs = 0) =>
  decideFailure({
    error: new StrataError(code, 'x'),
    attempt,
    maxAttempts: 3,
    ageMs,
    deadlineMs: DEADLINE_MS,
  });

describe('What becomes of a failed job', () => {
  it('is decided for every code of the registry', () => {
    for (const code of Object.keys(ERRORS) as ErrorCode[]) {
      expect(decide(code).action, code).to.be.oneOf(['abandon', 'yield', 'end', 'again']);
    }
  });

  it('is left to others when the lease is lost or the database cannot be asked', () => {
    expect(decide('lease_lost')).to.deep.equal({ action: 'abandon' });
    expect(decide('database_unavailable')).to.deep.equal({ action: 'abandon' });
  });

  it('backs off between attempts and ends after the last', () => {
    expect(decide('nbd_connection_lost', 1)).to.deep.equal({
      action: 'again',
      delayMs: 2000,
      keepAttempt: true,
    });
    expect(decide('nbd_connection_lost', 2)).to.deep.equal({
      action: 'again',
      delayMs: 4000,
      keepAttempt: true,
    });
    expect(decide('nbd_connection_lost', 3)).to.deep.equal({ action: 'end', status: 'failed' });
  });

  it('ends at once where trying again cannot help', () => {
    expect(decide('source_references_other_file')).to.deep.equal({ action: 'end', status: 'failed' });
  });

  it('waits for room without counting an attempt, but not for ever', () => {
    expect(decide('no_space', 3, 10)).to.deep.include({ action: 'again', keepAttempt: false });
    expect(decide('no_space', 1, DEADLINE_MS)).to.deep.equal({ action: 'end', status: 'failed' });
  });

  it('asks for a port of agents again soon, however long it has waited', () => {
    const again = { action: 'again', delayMs: 5000, keepAttempt: false };
    expect(decide('push_ports_exhausted', 1, 10)).to.deep.equal(again);
    expect(decide('push_ports_exhausted', 1, DEADLINE_MS - 20_000)).to.deep.equal(again);
  });

  it('pauses no longer than what is left of its deadline', () => {
    expect(decide('no_space', 1, DEADLINE_MS - 700)).to.deep.include({ action: 'again', delayMs: 700 });
    expect(decide('nbd_connection_lost', 2, DEADLINE_MS - 700)).to.deep.include({ delayMs: 700 });
  });

  it('hands a job back at once, uncounted, when the process stops', () => {
    expect(decide('shutting_down', 3)).to.deep.equal({ action: 'again', delayMs: 0, keepAttempt: false });
  });
});
