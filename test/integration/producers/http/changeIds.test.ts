import { expect } from 'chai';
import { join } from 'node:path';
import { Backup, ChangeIdAnswer } from '../../../../src/contract/index.js';
import { makeDisk, writeAt } from '../../../helpers/disks.js';
import { isProblem, openApi, type TestApi } from './support.js';

const SIZE = 1024 * 1024;
const LONGEST = 191;

describe('Change ids', () => {
  let api: TestApi;
  let vms = 0;
  before(async () => {
    api = await openApi();
    await makeDisk(disk(), SIZE, [[0, 100_000]]);
    api.fleet.work();
  });
  after(() => api.close());

  const disk = () => join(api.fleet.sources, 'disk.raw');
  const newVm = () => `vm${vms++}`;
  const post = (vm_name: string, backup_type: string, facts: object, more: object = {}) =>
    api.call('POST', 'backups', {
      body: {
        vm_name,
        repository_id: 'main',
        backup_type,
        disks: [{ disk_id: 0, source: { type: 'file', path: disk(), format: 'raw' }, ...facts }],
        ...more,
      },
    });
  const backUp = async (...request: Parameters<typeof post>): Promise<Backup> => {
    const answer = await post(...request);
    expect(answer.status, answer.text).to.equal(202);
    const { backup_id } = answer.body.disk_results[0];
    await api.fleet.ended(backup_id);
    return api.read(`backups/${backup_id}`, Backup);
  };
  const latest = async (vm: string, more = ''): Promise<ChangeIdAnswer> =>
    api.read(`backups/changeid?vm_name=${vm}&repository_id=main&disk_id=0${more}`, ChangeIdAnswer);
  const changed_extents = [{ offset: 0, length: 512 }];

  it('are any text of up to 191 characters, and come back as they were given', async () => {
    const ids = [
      '52 3e d1 cf 8e 0d 7f 1a-a5 6b 11/42',
      '😀'.repeat(LONGEST),
      'é'.repeat(LONGEST),
      ' blanks around ',
      'tab\tline\nnul\u0000end',
      '"; DROP TABLE backup_jobs; --%_\\',
    ];
    const vm = newVm();
    let since: string | undefined;
    for (const change_id of ids) {
      const backup = await backUp(vm, 'incremental', {
        change_id,
        ...(since === undefined ? {} : { since_change_id: since, changed_extents }),
      });
      expect(backup).to.include({ status: 'completed', change_id });
      expect(backup.demoted_reason).to.equal(since === undefined ? 'no_completed_full' : null);
      expect(await latest(vm)).to.include({ change_id, backup_id: backup.id });
      since = change_id;
    }
  });

  it('are compared byte for byte: neither case nor accents nor blanks at the end are forgiven', async () => {
    const vm = newVm();
    for (const [given, since] of [
      ['Abc', 'abc'],
      ['caf\u00e9', 'cafe\u0301'],
      ['abc', 'abc '],
      ['straße', 'strasse'],
      ['a\u200bb', 'ab'],
    ]) {
      await backUp(vm, 'full', { change_id: given });
      const next = await backUp(vm, 'incremental', { since_change_id: since, changed_extents });
      expect(next, since).to.include({ backup_type: 'full', demoted_reason: 'change_id_mismatch' });
    }
  });

  it('that are empty, too long or no text are refused, and nothing is accepted', async () => {
    for (const id of ['', 'x'.repeat(LONGEST + 1), '😀'.repeat(LONGEST + 1), '\ud83d', 7, null]) {
      const vm = newVm();
      for (const name of ['change_id', 'since_change_id']) {
        const fields = isProblem(await post(vm, 'full', { [name]: id }), 400, 'invalid_request');
        expect(fields, JSON.stringify(id)).to.deep.equal([`disks[0].${name}`]);
      }
      expect(await latest(vm)).to.include({ change_id: null, backup_id: null });
    }
  });

  it('that do not fit are refused where the request forbids a full, at once or when the job is at the head', async () => {
    const vm = newVm();
    await backUp(vm, 'full', { change_id: 'c1' });
    const strict = { on_broken_chain: 'fail' };
    const wrong = { since_change_id: 'c0', changed_extents, change_id: 'c2' };
    isProblem(await post(vm, 'incremental', wrong, strict), 409, 'change_id_mismatch');
    await api.fleet.stopWorking();
    const ahead = await post(vm, 'incremental', { change_id: 'c1b' });
    const behind = await post(vm, 'incremental', { ...wrong, since_change_id: 'c1' }, strict);
    expect([ahead.status, behind.status]).to.deep.equal([202, 202]);
    api.fleet.work();
    await api.fleet.ended(ahead.body.disk_results[0].backup_id);
    const ended = await api.fleet.ended(behind.body.disk_results[0].backup_id);
    expect(ended).to.include({ status: 'failed', error_code: 'change_id_mismatch' });
    expect(await latest(vm), 'the failed one told nothing').to.include({ change_id: 'c1b' });
  });

  it("let a differential stand on the segment's full, with the change id of that full", async () => {
    const vm = newVm();
    const full = await backUp(vm, 'full', { change_id: 'f' });
    await writeAt(disk(), 200_000, 1000);
    await backUp(vm, 'incremental', { change_id: 'i' });
    expect(await latest(vm, '&backup_type=differential')).to.include({ change_id: 'f', backup_id: full.id });
    const since = [{ offset: 200_000, length: 1000 }];
    const differential = await backUp(vm, 'differential', {
      since_change_id: 'f',
      change_id: 'd',
      changed_extents: since,
    });
    expect(differential).to.include({ backup_type: 'differential', parent_backup_id: full.id });
    expect(differential.bytes_transferred).to.equal(65536);
    expect(await latest(vm)).to.include({ change_id: 'd', backup_id: differential.id });
    const wrong = await backUp(vm, 'differential', { since_change_id: 'd', changed_extents: since });
    expect(wrong).to.include({ backup_type: 'full', demoted_reason: 'change_id_mismatch' });
  });

  it('are not told while anything that the latest backup stands on is damaged', async () => {
    const vm = newVm();
    const full = await backUp(vm, 'full', { change_id: 'a' });
    await backUp(vm, 'incremental', { change_id: 'b' });
    await api.fleet.suite.ds.query("UPDATE backup_jobs SET health = 'damaged' WHERE id = ?", [full.id]);
    expect(await latest(vm)).to.include({ change_id: null, backup_id: null });
  });

  it('go on where `auto` takes every n-th backup as a full, which says that it was due', async () => {
    const vm = newVm();
    const taken: string[] = [];
    for (let n = 0; n < 5; n++) {
      const since = (await latest(vm)).change_id;
      const facts = since === null ? {} : { since_change_id: since, changed_extents };
      const made = await backUp(vm, 'auto', { change_id: `c${n}`, ...facts }, { full_every: 2 });
      taken.push(`${made.backup_type} ${made.demoted_reason ?? ''}`.trim());
    }
    const due = 'full scheduled_full';
    expect(taken).to.deep.equal(['full', 'incremental', due, 'incremental', due]);
    const answer = await post(vm, 'incremental', {}, { full_every: 2 });
    expect(isProblem(answer, 400, 'invalid_request')).to.deep.equal(['full_every']);
    await api.fleet.suite.ds.query('UPDATE backup_chains SET full_at = full_at - INTERVAL 3 DAY');
    const old = await post(vm, 'auto', {}, { full_after_days: 3 });
    expect(old.body.disk_results[0]).to.include({ backup_type: 'full', demoted_reason: 'scheduled_full' });
  });
});
