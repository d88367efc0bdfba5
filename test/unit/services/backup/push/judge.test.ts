import { expect } from 'chai';
import { judgePush, type PushMoment } from '../../../../../src/services/backup/push/judge.js';
import { createSilence } from '../../../../../src/services/backup/push/receive.js';
import { systemClock } from '../../../../../src/shared/clock.js';

const report = { asked: undefined, failedReason: null, telemetry: 0, bytesDone: null, bytesTotal: null };
const asked = { seq: 3, changeId: 'c', bytesTransferred: 10 };
const moment = (given: Partial<PushMoment>): PushMoment => ({
  report,
  inside: 0,
  entered: true,
  type: 'full',
  silentMs: 0,
  mostSilentMs: 1000,
  ...given,
});
const outcome = (given: Partial<PushMoment>) => {
  const decision = judgePush(moment(given));
  if (decision.kind === 'fail') return decision.error.code;
  return decision.kind === 'refuse' ? decision.code : decision.kind;
};

describe('The judgement of a push export', () => {
  it('waits while the agent is not silent for too long', () => {
    expect(outcome({})).to.equal('wait');
    expect(outcome({ silentMs: 999, entered: false })).to.equal('wait');
    expect(outcome({ silentMs: 1000 })).to.equal('push_agent_silent');
    expect(outcome({ silentMs: 1000, entered: false, inside: 0 })).to.equal('push_agent_silent');
    expect(outcome({ silentMs: 1000, inside: 2 }), 'connected, but nothing moves').to.equal(
      'push_agent_silent',
    );
  });

  it('finishes when the agent is done and nobody is inside', () => {
    expect(outcome({ report: { ...report, asked } })).to.equal('finish');
    expect(outcome({ report: { ...report, asked }, silentMs: 5000 }), 'a call ends the silence').to.equal(
      'finish',
    );
    expect(outcome({ report: { ...report, asked }, inside: 1 })).to.equal('push_connected');
  });

  it('believes in an empty increment, and in no empty full', () => {
    const empty = { report: { ...report, asked: { ...asked, bytesTransferred: 0 } }, entered: false };
    expect(outcome({ ...empty, type: 'incremental' })).to.equal('finish');
    expect(outcome({ ...empty, type: 'full' })).to.equal('push_nothing_written');
    expect(outcome({ ...empty, report: { ...report, asked }, type: 'incremental' })).to.equal(
      'push_nothing_written',
    );
  });

  it('fails when the agent says so, whatever else it says', () => {
    expect(outcome({ report: { ...report, failedReason: 'x', asked }, inside: 1 })).to.equal(
      'push_agent_failed',
    );
  });
});

describe('The silence of an agent', () => {
  it('begins with the export and ends with every sign of life', () => {
    let now = 100;
    const { since } = createSilence({ ...systemClock, monotonicMs: () => now });
    now = 150;
    expect(since('a'), 'the first look is no sign').to.equal(50);
    now = 200;
    expect(since('b')).to.equal(0);
    now = 300;
    expect(since('b')).to.equal(100);
    expect(since('a')).to.equal(0);
  });
});
