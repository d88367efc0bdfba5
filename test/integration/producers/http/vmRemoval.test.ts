import { expect } from 'chai';
import { join } from 'node:path';
import { makeDisk } from '../../../helpers/disks.js';
import { strataOn } from './cli.js';
import { isProblem, openApi, type TestApi } from './support.js';

describe('A VM', function () {
  this.timeout(60_000);
  let api: TestApi;
  before(async () => {
    api = await openApi();
    await makeDisk(join(api.fleet.sources, 'disk.raw'), 65536, [[0, 4096]]);
  });
  after(() => api.close());

  const register = async (vm_name: string): Promise<string> => {
    const source = { type: 'file', path: join(api.fleet.sources, 'disk.raw'), format: 'raw' };
    const body = { vm_name, repository_id: 'main', disks: [{ disk_id: 0, source }] };
    return (await api.call('PUT', 'vms', { body })).body.vm_context_id;
  };

  it('whose name was misspelt does not stay for ever', async () => {
    const id = await register('wbe');
    const removed = await strataOn(api, 'vm', 'remove', 'wbe');
    expect(removed.code, removed.err).to.equal(0);
    expect(removed.out).to.equal(`Removed VM wbe (${id}).\n`);
    isProblem(await api.call('GET', `vms/${id}`), 404, 'not_found');
    isProblem(await api.call('DELETE', `vms/${id}`), 404, 'not_found');
    isProblem(await api.call('DELETE', `vms/${await register('any')}`, { as: 'operator' }), 403, 'forbidden');
  });

  it('is not forgotten while a job, a restore point or a policy of it is left, and the refusal says what to do', async () => {
    const id = await register('web');
    const body = { vm_name: 'web', repository_id: 'main', backup_type: 'full' };
    const { body: accepted } = await api.call('POST', 'backups', { body });
    const [{ backup_id }] = accepted.disk_results;
    const open = await api.call('DELETE', `vms/${id}`);
    isProblem(open, 409, 'vm_in_use');
    expect(open.body.detail).to.include(`strata cancel ${backup_id}`);
    api.fleet.work();
    expect(await api.fleet.ended(backup_id)).to.include({ status: 'completed' });
    const { body: policy } = await api.call('POST', 'policies', { body: { name: 'nightly', vms: [id] } });
    const member = await api.call('DELETE', `vms/${id}`);
    isProblem(member, 409, 'vm_in_use');
    expect(member.body.detail).to.include('the policy nightly');
    await api.call('DELETE', `policies/${policy.id}`);
    const kept = await strataOn(api, 'vm', 'remove', 'web');
    expect(kept.code).to.equal(3);
    expect(kept.err).to.include('has 1 restore points').and.to.include('strata delete VM --all-of-vm');
    expect((await strataOn(api, 'delete', 'web', '--all-of-vm', '--yes', '--wait')).code).to.equal(0);
    const gone = await api.call('DELETE', `vms/${id}`);
    expect(gone.status, gone.text).to.equal(204);
    for (const table of ['vm_contexts', 'vm_disks', 'backup_chains', 'restore_points', 'backup_jobs']) {
      const rows = await api.fleet.suite.ds.query<unknown[]>(
        `SELECT 1 FROM ${table} WHERE ${table === 'backup_jobs' ? 'id' : 'vm_context_id'} = ?`,
        [table === 'backup_jobs' ? backup_id : id],
      );
      expect(rows, table).to.deep.equal([]);
    }
  });

  it('is not forgotten by the dry run of an older caller', async () => {
    const id = await register('dry');
    const answer = await api.call('DELETE', `vms/${id}?dry_run=true`);
    isProblem(answer, 400, 'invalid_request');
    expect((await api.call('GET', `vms/${id}`)).status).to.equal(200);
  });

  it('that is forgotten and registered again begins anew, in the same repository', async () => {
    const id = await register('again');
    expect((await api.call('DELETE', `vms/${id}`)).status).to.equal(204);
    await register('again');
    const body = { vm_name: 'again', repository_id: 'main', backup_type: 'auto' };
    const { body: accepted } = await api.call('POST', 'backups', { body });
    expect(await api.fleet.ended(accepted.disk_results[0].backup_id)).to.include({ status: 'completed' });
  });
});
