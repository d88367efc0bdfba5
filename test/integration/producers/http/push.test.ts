import { expect } from 'chai';
import { Backup, BackupAccepted, NbdExport, PushAnswer } from '../../../../src/contract/index.js';
import { connectNbd } from '../../../../src/datapath/nbd/index.js';
import { fits, isProblem, openApi, type TestApi } from './support.js';

const SIZE = 1024 * 1024;

describe('Pushed backups in the API', () => {
  let api: TestApi;
  before(async () => {
    api = await openApi();
  });
  after(() => api.close());
  const accept = (disk: object = {}, body: object = {}) =>
    api.call('POST', 'backups', {
      as: 'operator',
      body: {
        vm_name: 'pushed',
        repository_id: 'main',
        backup_type: 'full',
        disks: [{ disk_id: 0, source: { type: 'push' }, ...disk }],
        ...body,
      },
    });
  const say = (id: string, word: string, body: object) =>
    api.call('POST', `backups/${id}/${word}`, { as: 'operator', body });

  it('want a size once, and no change list', async () => {
    expect(isProblem(await accept(), 400, 'invalid_request')).to.deep.equal(['disks[0].virtual_size']);
    isProblem(await accept({ virtual_size: 1000 }), 400, 'size_not_aligned');
    const extents = [{ offset: 0, length: 512 }];
    const listed = await accept(
      { virtual_size: SIZE, changed_extents: extents },
      { backup_type: 'incremental' },
    );
    expect(isProblem(listed, 400, 'invalid_request')).to.deep.equal(['disks[0].changed_extents']);
    const follows = await accept(
      { virtual_size: SIZE, extents_follow: true },
      { backup_type: 'incremental' },
    );
    expect(isProblem(follows, 400, 'invalid_request')).to.deep.equal(['disks[0].extents_follow']);
    isProblem(await accept({ source: { type: 'push', path: '/x' } }), 400, 'invalid_request');
    const disks = [{ disk_id: 7, source: { type: 'push' }, virtual_size: SIZE }];
    const vm = await api.call('PUT', 'vms', { body: { vm_name: 'sized', repository_id: 'main', disks } });
    expect(vm.body.disks[0].source).to.deep.equal({ type: 'push' });
    const answer = await api.call('POST', 'backups', {
      body: { vm_name: 'sized', repository_id: 'main', backup_type: 'full' },
    });
    expect(answer.status, answer.text).to.equal(202);
    await api.call('POST', `backups/${answer.body.disk_results[0].backup_id}/cancel`, {});
  });

  it('tell who may write where, when the export is open, and nobody else', async () => {
    const answer = await accept({ virtual_size: SIZE });
    expect(answer.status, answer.text).to.equal(202);
    fits(BackupAccepted, answer.body);
    expect(answer.body.disk_results[0]).to.deep.include({ nbd_export: null, backup_type: 'full' });
    const id = answer.body.disk_results[0].backup_id;
    expect((await api.call('GET', `backups/${id}`, { as: 'operator' })).body.nbd_export).to.equal(null);
    const waiting = api.call('GET', `backups/${id}?wait_seconds=30`, { as: 'operator' });
    api.fleet.work();
    const { body } = await waiting;
    fits(Backup, body);
    fits(NbdExport, body.nbd_export);
    expect(body.nbd_export).to.deep.include({
      attempt: 1,
      virtual_size: SIZE,
      host: '127.0.0.1',
      socket: null,
    });
    expect(body.nbd_export.uri).to.contain(body.nbd_export.export_name);
    expect((await api.read(`backups/${id}`, Backup)).nbd_export, 'for a viewer').to.equal(null);
    for (const path of ['backups', `restore-points/${answer.body.restore_point_id}`, `jobs/${id}`]) {
      expect((await api.call('GET', path)).text, path).not.to.contain(body.nbd_export.export_name);
    }
    isProblem(await api.call('GET', `backups/${id}?wait_seconds=31`), 400, 'invalid_request');
    isProblem(await api.call('POST', `backups/${id}/complete`, { as: 'viewer', body: {} }), 403, 'forbidden');
    const client = await connectNbd(body.nbd_export.uri);
    await client.write(0, Buffer.alloc(SIZE, 1));
    isProblem(await say(id, 'complete', { disk_id: 0, bytes_transferred: SIZE }), 409, 'push_connected');
    await client.close();
    const progress = await say(id, 'progress', { bytes_done: SIZE, bytes_total: SIZE });
    expect(progress.status, progress.text).to.equal(200);
    fits(PushAnswer, progress.body);
    isProblem(await say(id, 'complete', { disk_id: 1, bytes_transferred: SIZE }), 409, 'push_wrong_disk');
    for (let i = 0; i < 2; i++) {
      const done = await say(id, 'complete', { disk_id: 0, bytes_transferred: SIZE, change_id: 'c1' });
      expect(done.status, done.text).to.equal(200);
      fits(PushAnswer, done.body);
      expect(done.body.state).to.equal('accepted');
    }
    expect((await api.fleet.ended(id)).status).to.equal('completed');
    const late = await say(id, 'complete', { disk_id: 0, bytes_transferred: SIZE, change_id: 'c2' });
    expect(isProblem(late, 409, 'push_change_id_differs')).to.deep.equal(['change_id']);
    isProblem(await say(id, 'fail', { reason: 'x' }), 409, 'wrong_state');
  });

  it('refuse what does not fit the schema of their calls, and change nothing', async () => {
    const { body } = await accept({ virtual_size: SIZE });
    const id = body.disk_results[0].backup_id;
    const cases: [string, object, string][] = [
      ['complete', { disk_id: 0 }, 'bytes_transferred'],
      ['complete', { bytes_transferred: 1 }, 'disk_id'],
      ['complete', { disk_id: 0, bytes_transferred: -1 }, 'bytes_transferred'],
      ['complete', { disk_id: 0, bytes_transferred: 1, change_id: '' }, 'change_id'],
      ['complete', { disk_id: 0, bytes_transferred: 1, change_id: 'x'.repeat(192) }, 'change_id'],
      ['complete', { disk_id: 0, bytes_transferred: 1, change_id: '\ud800' }, 'change_id'],
      ['complete', { disk_id: 0, bytes_transferred: 1, attempt: 0 }, 'attempt'],
      ['complete', { disk_id: 0, bytes_transferred: 1, more: 1 }, 'more'],
      ['progress', {}, 'bytes_done'],
      ['progress', { bytes_done: 1, bytes_total: '5' }, 'bytes_total'],
      ['fail', {}, 'reason'],
      ['fail', { reason: '' }, 'reason'],
    ];
    for (const [word, said, field] of cases) {
      expect(
        isProblem(await say(id, word, said), 400, 'invalid_request'),
        JSON.stringify(said),
      ).to.deep.equal([field]);
    }
    isProblem(await say('bkp_0', 'complete', { disk_id: 0, bytes_transferred: 1 }), 404, 'not_found');
    const failed = await say(id, 'fail', { reason: 'the agent has no disk' });
    expect(failed.status, failed.text).to.equal(200);
    expect(await api.fleet.ended(id)).to.deep.include({ status: 'failed', error_code: 'push_agent_failed' });
    expect((await api.read(`backups/${id}`, Backup)).error.detail).to.contain('the agent has no disk');
  });
});
