import { expect } from 'chai';
import { join } from 'node:path';
import { createClient, type StrataClient } from '../../../../src/client/index.js';
import { Backup, type Extent, ExtentsAccepted } from '../../../../src/contract/index.js';
import { addExtentsPart } from '../../../../src/db/job/awaitExtents.js';
import { BackupExtents, RestorePoint } from '../../../../src/entities/index.js';
import { codeOf } from '../../../helpers/codeOf.js';
import { makeDisk, writeAt } from '../../../helpers/disks.js';
import { fits, isProblem, openApi, type TestApi } from './support.js';

const SIZE = 8 * 1024 * 1024;
const LINES = { 'content-type': 'text/plain' };

describe('A change list that follows its request', () => {
  let api: TestApi;
  let client: StrataClient;
  let vms = 0;
  before(async () => {
    api = await openApi();
    const baseUrl = await api.app.listen({ host: '127.0.0.1', port: 0 });
    client = createClient({ baseUrl, token: api.tokens.operator });
    await makeDisk(disk(), SIZE, [[0, 3_000_000]]);
    api.fleet.work();
  });
  after(() => api.close());

  const disk = () => join(api.fleet.sources, 'disk.raw');
  const post = async (vm_name: string, backup_type: string, facts: object) => {
    const source = { type: 'file', path: disk(), format: 'raw' };
    const body = {
      vm_name,
      repository_id: 'main',
      backup_type,
      disks: [{ disk_id: 0, source, virtual_size: SIZE, ...facts }],
    };
    const answer = await api.call('POST', 'backups', { body });
    expect(answer.status, answer.text).to.equal(202);
    return answer.body.disk_results[0];
  };
  const read = (id: string): Promise<Backup> => api.read(`backups/${id}`, Backup);
  const parts = (backupId: string) => api.fleet.suite.ds.getRepository(BackupExtents).countBy({ backupId });
  /** A new VM with a full, and an increment that waits for its list. */
  const waiting = async (): Promise<string> => {
    const vm = `vm${vms++}`;
    await api.fleet.ended((await post(vm, 'full', { change_id: 'f' })).backup_id);
    const follow = { since_change_id: 'f', change_id: 'i', extents_follow: true };
    const { backup_id, awaits_extents, status } = await post(vm, 'incremental', follow);
    expect({ awaits_extents, status }).to.deep.equal({ awaits_extents: true, status: 'queued' });
    return backup_id;
  };
  const put = (id: string, raw: string, headers: Record<string, string> = LINES) =>
    api.call('PUT', `backups/${id}/extents`, { as: 'operator', raw, headers });

  it('lets the increment go on, and says what it has understood', async () => {
    const id = await waiting();
    expect((await read(id)).awaits_extents_until).to.be.a('string');
    await writeAt(disk(), 1_000_000, 100_000);
    const answer = await put(id, '1065000 35000\n1000000 100000 \n1000000 1\nend 3\n');
    expect(answer.status, answer.text).to.equal(200);
    fits(ExtentsAccepted, answer.body);
    expect(answer.body).to.include({ backup_id: id, ranges: 1, changed_bytes: 2 * 65536 });
    expect(await api.fleet.ended(id)).to.include({ status: 'completed' });
    const made = await read(id);
    expect(made).to.include({ backup_type: 'incremental', bytes_transferred: 2 * 65536 });
    expect(made.awaits_extents_until).to.equal(null);
    expect(await parts(id)).to.equal(0);
  });

  it('may be JSON', async () => {
    const id = await waiting();
    await writeAt(disk(), 500_000, 10);
    const answer = await put(id, '[{"offset": 500000, "length": 10}]', {
      'content-type': 'application/json',
    });
    expect(answer.body, answer.text).to.include({ ranges: 1, changed_bytes: 65536 });
    expect(await api.fleet.ended(id)).to.include({ status: 'completed' });
    const other = await put(id, '', { 'content-type': 'application/xml' });
    isProblem(other, 415, 'unsupported_media_type');
  });

  it('may be empty, if it says so', async () => {
    const id = await waiting();
    expect(isProblem(await put(id, ' '), 400, 'extents_invalid')).to.deep.equal(['line 1']);
    const answer = await client.backups.putExtents(id, () => []);
    expect(answer).to.include({ ranges: 0, changed_bytes: 0 });
    expect(await api.fleet.ended(id)).to.include({ status: 'completed' });
    expect((await read(id)).bytes_transferred).to.equal(0);
  });

  it('keeps its chain in order: what was accepted later waits for it, what is in front does not', async () => {
    const id = await waiting();
    const { vm_name } = await read(id);
    const later = await post(vm_name, 'full', {});
    await api.fleet.sweep();
    expect((await read(later.backup_id)).status).to.equal('queued');
    await client.backups.putExtents(id, () => [{ offset: 0, length: 512 }]);
    await api.fleet.ended(later.backup_id);
    expect((await read(id)).status).to.equal('completed');
    await api.fleet.stopWorking();
    const ahead = await post(vm_name, 'incremental', { change_id: 'a' });
    const behind = await post(vm_name, 'incremental', { since_change_id: 'a', extents_follow: true });
    const early = await client.backups.putExtents(behind.backup_id, () => [{ offset: 0, length: 512 }]);
    expect(early.status).to.equal('queued');
    api.fleet.work();
    expect(await api.fleet.ended(behind.backup_id)).to.include({ status: 'completed' });
    expect((await read(behind.backup_id)).parent_backup_id).to.equal(ahead.backup_id);
  });

  it('may be sent again, at any time; another one is refused', async () => {
    const id = await waiting();
    const list = '0 512\n65536 512\nend 2\n';
    const [first, second] = await Promise.all([put(id, list), put(id, list)]);
    expect([first.status, second.status]).to.deep.equal([200, 200]);
    const again = await put(id, '65536 512\n0 65536\n');
    expect(again.status, again.text).to.equal(200);
    await api.fleet.ended(id);
    const late = await put(id, list);
    expect(late.body).to.include({ status: 'completed', ranges: 1, changed_bytes: 131_072 });
    isProblem(await put(id, '0 1\n'), 409, 'wrong_state');
    expect(await parts(id)).to.equal(0);
  });

  it('counts for nothing where it is malformed, leaves the disk, or breaks off', async () => {
    const id = await waiting();
    expect(isProblem(await put(id, '0 512\n1 x\n'), 400, 'extents_invalid')).to.deep.equal(['line 2']);
    expect(isProblem(await put(id, '0 512\nend 2\n'), 400, 'extents_invalid')).to.deep.equal(['line 2']);
    expect(isProblem(await put(id, `${SIZE - 1} 2\n`), 400, 'extents_out_of_range')).to.deep.equal([
      'line 1',
    ]);
    const long = `0 512\nno\n${'1048576 512\n'.repeat(500_000)}`;
    isProblem(await put(id, long), 400, 'extents_invalid');
    expect(await codeOf(client.backups.putExtents(id, breakingOff))).to.equal('api_unreachable');
    expect(await parts(id)).to.equal(0);
    expect((await read(id)).status).to.equal('queued');
    await client.backups.putExtents(id, () => [{ offset: 0, length: 512 }]);
    expect(await api.fleet.ended(id)).to.include({ status: 'completed' });
  });

  it('is not mixed with what an API that died in the middle of an upload has left', async () => {
    const id = await waiting();
    const pairs = Buffer.alloc(16);
    pairs.writeBigUInt64LE(BigInt(SIZE), 8);
    await addExtentsPart(api.fleet.suite.ds, { backupId: id, upload: 'dead', part: 0 }, pairs);
    await writeAt(disk(), 0, 512);
    await client.backups.putExtents(id, () => [{ offset: 0, length: 512 }]);
    await api.fleet.ended(id);
    expect((await read(id)).bytes_transferred).to.equal(65536);
    expect(await parts(id)).to.equal(0);
  });

  it('is refused where none is awaited', async () => {
    const full = await post('other', 'full', {});
    isProblem(await put(full.backup_id, '0 1\n'), 409, 'wrong_state');
    isProblem(await put('bkp_none', '0 1\n'), 404, 'not_found');
    const id = await waiting();
    const viewer = { as: 'viewer' as const, raw: '0 1\n', headers: LINES };
    isProblem(await api.call('PUT', `backups/${id}/extents`, viewer), 403, 'forbidden');
    await client.backups.cancel(id);
    isProblem(await put(id, '0 1\n'), 409, 'wrong_state');
    const source = { type: 'file', path: disk(), format: 'raw' };
    for (const [backup_type, facts] of [
      ['full', {}],
      ['incremental', { changed_extents: [] }],
    ] as const) {
      const disks = [{ disk_id: 0, source, extents_follow: true, ...facts }];
      const body = { vm_name: 'other', repository_id: 'main', backup_type, disks };
      const answer = await api.call('POST', 'backups', { body });
      expect(isProblem(answer, 400, 'invalid_request')).to.deep.equal(['disks[0].extents_follow']);
    }
  });

  it('is waited for so long and no longer: then the backup has failed, and the chain goes on', async () => {
    const id = await waiting();
    const { vm_name, restore_point_id } = await read(id);
    const next = await post(vm_name, 'incremental', {});
    const { ds } = api.fleet.suite;
    await ds.query('UPDATE backup_jobs SET awaits_extents_until = UTC_TIMESTAMP(3) WHERE id = ?', [id]);
    await api.fleet.sweep();
    expect(await api.fleet.ended(id)).to.include({ status: 'failed', error_code: 'deadline_exceeded' });
    expect((await ds.getRepository(RestorePoint).findOneByOrFail({ id: restore_point_id })).status).to.equal(
      'failed',
    );
    expect(await api.fleet.ended(next.backup_id)).to.include({ status: 'completed' });
    isProblem(await put(id, '0 1\n'), 409, 'wrong_state');
  });
});

async function* breakingOff(): AsyncGenerator<Extent> {
  for (let n = 0; n < 50_000; n++) yield { offset: n * 8, length: 8 };
  throw new Error('The tracker died.');
}
