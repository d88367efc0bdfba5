import { expect } from 'chai';
import type { PushFacts, PushRow } from '../../../../../src/db/push/views.js';
import {
  type Completion,
  heedVerdict,
  judgeCall,
  judgeFailure,
  judgeProgress,
} from '../../../../../src/services/backup/push/agentCalls.js';
import { isStrataError } from '../../../../../src/shared/errors.js';

const open: NonNullable<PushRow['open']> = {
  uri: 'nbd://h/x',
  export_name: 'x',
  host: 'h',
  port: 1,
  socket: null,
  tls: 'none',
  connections: 1,
  backup_type: 'incremental',
  demoted_reason: null,
  parent_backup_id: 'bkp_p',
  since_change_id: 'a',
  virtual_size: 512,
  openedAt: new Date(0),
};
const row: PushRow = {
  state: 'open',
  attempt: 1,
  open,
  backupType: 'incremental',
  asked: 0,
  answered: 0,
  verdict: null,
  changeId: null,
  failedReason: null,
};
const facts = (given: Partial<PushFacts> = {}, push: Partial<PushRow> = {}): PushFacts => ({
  id: 'bkp_1',
  status: 'running',
  cancelRequested: false,
  diskId: 0,
  requestedType: 'incremental',
  changeId: null,
  push: { ...row, ...push },
  ...given,
});
const call = (given: Partial<Completion> = {}): Completion => ({
  diskId: 0,
  changeId: 'c1',
  bytesTransferred: 1,
  attempt: undefined,
  backupType: undefined,
  ...given,
});
const codeOf = (work: () => { kind: string }): string => {
  try {
    return work().kind;
  } catch (error) {
    return isStrataError(error) ? error.code : String(error);
  }
};
const judged = (known: PushFacts, said: Partial<Completion> = {}) =>
  codeOf(() => judgeCall(known, call(said)));
const FULL = { open: { ...open, backup_type: 'full' as const }, backupType: 'full' as const };

describe('A completion call', () => {
  it('is decided on by the worker, once', () => {
    expect(judgeCall(facts(), call())).to.deep.equal({ kind: 'ask', changeId: 'c1' });
    expect(judgeCall(facts({ changeId: 'r' }), call({ changeId: undefined }))).to.deep.equal({
      kind: 'ask',
      changeId: 'r',
    });
    const pending = { asked: 1, changeId: 'c1' };
    expect(judged(facts({}, pending))).to.equal('wait');
    expect(judged(facts({}, pending), { changeId: 'c2' })).to.equal('push_change_id_differs');
    expect(judged(facts({}, { ...pending, answered: 1 }), { changeId: 'c2' }), 'refused before').to.equal(
      'ask',
    );
  });

  it('is answered alike when it is repeated, also after the end', () => {
    const accepted = { state: 'accepted' as const, open: undefined, changeId: 'c1' };
    expect(judged(facts({}, accepted))).to.equal('accepted');
    expect(judged(facts({}, accepted), { changeId: undefined })).to.equal('accepted');
    expect(judged(facts({}, accepted), { changeId: 'c2' })).to.equal('push_change_id_differs');
    for (const status of ['completed', 'expired'] as const) {
      expect(judged(facts({ status, changeId: 'c1' }, accepted))).to.equal('accepted');
      expect(judged(facts({ status, changeId: 'c2' }, accepted))).to.equal('push_change_id_differs');
      expect(judged(facts({ status, changeId: null }, accepted))).to.equal('push_change_id_differs');
    }
  });

  it('is refused for another disk, another change id than the request has, and a backup that has ended otherwise', () => {
    expect(judged(facts(), { diskId: 1 })).to.equal('push_wrong_disk');
    expect(judged(facts({ status: 'completed', changeId: 'c1' }), { diskId: 1 })).to.equal('push_wrong_disk');
    expect(judged(facts({ changeId: 'r' }))).to.equal('push_change_id_differs');
    for (const status of ['failed', 'cancelled'] as const)
      expect(judged(facts({ status }))).to.equal('wrong_state');
    expect(judged(facts({}, { failedReason: 'x' }))).to.equal('wrong_state');
    expect(judged({ ...facts(), push: undefined })).to.equal('wrong_state');
  });

  it('is refused while no export is open, and for an export that is over', () => {
    expect(judged(facts({}, { open: undefined, state: 'waiting', attempt: 0 }))).to.equal('push_not_open');
    expect(judged(facts({}, { open: undefined }), { attempt: 1 })).to.equal('push_not_open');
    expect(judged(facts({}, { attempt: 2 }), { attempt: 1 })).to.equal('push_attempt_over');
    expect(judged(facts({}, { attempt: 2 })), 'which one?').to.equal('push_attempt_over');
    expect(judged(facts({}, { attempt: 2 }), { attempt: 2 })).to.equal('ask');
  });

  it('must say what was written where the backup became something else than was asked for', () => {
    expect(judged(facts({}, FULL))).to.equal('push_type_differs');
    expect(judged(facts({}, FULL), { backupType: 'incremental' })).to.equal('push_type_differs');
    expect(judged(facts({}, FULL), { backupType: 'full' })).to.equal('ask');
    expect(judged(facts({ requestedType: 'auto' }))).to.equal('push_type_differs');
    expect(judged(facts(), { backupType: 'full' })).to.equal('push_type_differs');
  });

  it('hears what the worker said to it, and not what it said to an earlier one', () => {
    const said = (push: Partial<PushRow>, asked: number) =>
      codeOf(() => {
        heedVerdict(facts({}, push), asked);
        return { kind: 'nothing' };
      });
    expect(said({ asked: 2, answered: 1, verdict: 'push_connected' }, 2)).to.equal('nothing');
    expect(said({ asked: 2, answered: 2, verdict: 'push_connected' }, 2)).to.equal('push_connected');
    expect(said({ asked: 2, answered: 2, verdict: 'push_attempt_over' }, 2)).to.equal('push_attempt_over');
    expect(said({ asked: 2, answered: 2, verdict: null }, 2)).to.equal('nothing');
  });
});

describe('What else an agent says', () => {
  it('counts while its export is open, and is harmless afterwards', () => {
    const progress = (known: PushFacts, attempt?: number) => codeOf(() => judgeProgress(known, attempt));
    expect(progress(facts())).to.equal('progress');
    expect(progress(facts({}, { state: 'accepted', open: undefined }))).to.equal('none');
    expect(progress(facts({ status: 'completed' }))).to.equal('none');
    expect(progress(facts({ status: 'failed' }))).to.equal('wrong_state');
    expect(progress(facts({}, { open: undefined }))).to.equal('push_not_open');
    expect(progress(facts({}, { attempt: 3 }), 2)).to.equal('push_attempt_over');
  });

  it('ends the backup when it is a failure, at any time before the completion was accepted', () => {
    const failure = (known: PushFacts, attempt?: number) => codeOf(() => judgeFailure(known, attempt));
    expect(failure(facts())).to.equal('fail');
    expect(failure(facts({ status: 'queued' }, { state: 'waiting', open: undefined, attempt: 0 }))).to.equal(
      'fail',
    );
    expect(failure(facts({}, { failedReason: 'x' }))).to.equal('none');
    expect(failure(facts({ status: 'failed' }))).to.equal('none');
    expect(failure(facts({ status: 'completed' }))).to.equal('wrong_state');
    expect(failure(facts({}, { state: 'accepted' }))).to.equal('wrong_state');
    expect(failure(facts({}, { attempt: 2 }), 1)).to.equal('push_attempt_over');
  });
});
