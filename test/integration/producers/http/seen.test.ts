import { expect } from 'chai';
import { join } from 'node:path';
import { Chain, Consolidation, SyntheticFullPlan, Vm } from '../../../../src/contract/index.js';
import { makeDisk, writeAt } from '../../../helpers/disks.js';
import { strataOn } from './cli.js';
import { fits, isProblem, openApi, type TestApi } from './support.js';

const SIZE = 1024 * 1024;

describe('What the caller has seen', function () {
  this.timeout(120_000);
  let api: TestApi;
  let vm = '';
  let ids: string[];
  beforeEach(async () => {
    api = await openApi();
    await makeDisk(disk(), SIZE, [[0, SIZE / 2]]);
    api.fleet.work();
    ids = [];
    for (const type of ['full', 'incremental', 'incremental']) await backUp(type);
  });
  afterEach(() => api.close());

  const disk = () => join(api.fleet.sources, 'disk.raw');
  const backUp = async (type: string) => {
    await writeAt(disk(), 65536 * ids.length, 70_000);
    const source = { type: 'file', path: disk(), format: 'raw' };
    const body = {
      vm_name: 'web',
      repository_id: 'main',
      backup_type: type,
      disks: [{ disk_id: 0, source }],
    };
    const { body: accepted } = await api.call('POST', 'backups', { body });
    vm = accepted.vm_context_id;
    const [{ backup_id }] = accepted.disk_results;
    expect((await api.fleet.ended(backup_id)).status).to.equal('completed');
    ids.push(backup_id);
  };
  const chain = (): Promise<Chain> => api.read(`vms/${vm}/disks/0/chain`, Chain);
  const completed = async () =>
    (await chain()).backups.filter(({ status }) => status === 'completed').map(({ id }) => id);
  const consolidate = async (body: object) =>
    api.call('POST', `chains/${(await chain()).id}/consolidate`, { body });
  const jobsEnd = async () => {
    const jobs = await api.fleet.suite.ds.query<{ id: string }[]>('SELECT id FROM maintenance_jobs');
    for (const { id } of jobs) expect(await api.fleet.ended(id)).to.include({ status: 'completed' });
    return jobs.length;
  };

  it('is all that a consolidation removes: a backup that has completed since is not among the rest', async () => {
    const [first = '', , last = ''] = ids;
    await backUp('incremental');
    const unsaid = await consolidate({ keep: [first, last] });
    expect(isProblem(unsaid, 409, 'chain_moved')).to.deep.equal(['expected_latest']);
    expect(unsaid.body.detail).to.include(ids[3]);
    isProblem(await consolidate({ keep: [first, last], expected_latest: last }), 409, 'chain_moved');
    expect(await completed()).to.deep.equal(ids);
    expect(await jobsEnd(), 'nothing was accepted').to.equal(0);
    const said = await consolidate({ keep: [first, last], expected_latest: ids[3] });
    expect(said.status, said.text).to.equal(202);
    fits(Consolidation, said.body);
    expect(said.body.latest_backup_id).to.equal(ids[3]);
    await jobsEnd();
    expect(await completed()).to.deep.equal([first, last]);
  });

  it('is sent by the command, and what the command has not seen it does not remove', async () => {
    const [first = '', second = '', last = ''] = ids;
    const unseen = await strataOn(api, 'consolidate', 'web', '0', '--keep', first);
    expect(unseen.code).to.equal(3);
    expect(unseen.err).to.include(last).and.to.include('--seen').and.to.include('[chain_moved]');
    const stale = await strataOn(api, 'consolidate', 'web', '--keep', first, '--seen', second);
    expect(stale.code, stale.err).to.equal(3);
    expect(await completed()).to.deep.equal(ids);
    expect((await strataOn(api, 'consolidate', 'web', '--keep', last, '--wait')).code).to.equal(0);
    expect(await completed()).to.deep.equal([last]);
  });

  it('is all that the removal of all backups of a VM or a repository removes', async () => {
    const [, second = '', last = ''] = ids;
    for (const path of [`vms/${vm}/backups`, `repositories/${api.fleet.repositoryId}/backups`]) {
      const look = await api.call('DELETE', `${path}?dry_run=true`);
      expect(look.body.latest_backup_id, look.text).to.equal(last);
      isProblem(await api.call('DELETE', `${path}?expected_latest=${second}`), 409, 'chain_moved');
    }
    expect(await completed()).to.deep.equal(ids);
    expect((await strataOn(api, 'delete', 'web', '--all-of-vm', '--yes', '--seen', second)).code).to.equal(3);
    const seen = await strataOn(api, 'delete', 'web', '--all-of-vm', '--yes', '--wait');
    expect(seen.code, seen.err).to.equal(0);
    expect(await completed()).to.deep.equal([]);
  });

  it('of disks that are retired with the backups is said before and after', async () => {
    const asked = await strataOn(api, 'delete', 'web', '--all-of-vm');
    expect(asked.code).to.equal(2);
    expect(asked.err).to.include('retires its disks');
    const dry = await strataOn(api, 'delete', 'web', '--all-of-vm', '--dry-run');
    expect(dry.out).to.include('Disk 0 is retired then: nothing backs them up');
    expect((await api.read(`vms/${vm}`, Vm)).disks[0]).to.include({ retired_at: null });
    const done = await strataOn(api, 'delete', 'web', '--all-of-vm', '--yes', '--json');
    expect(JSON.parse(done.out).retired_disks).to.deep.equal([0]);
    expect((await strataOn(api, 'delete', '--help')).out.replaceAll(/\s+/g, ' ')).to.include(
      'retire its disks',
    );
  });

  it('of a dry run of a synthetic full is what would be done, and nothing is done', async () => {
    const before = await chain();
    const path = `chains/${before.id}/synthetic-full`;
    const plan = await api.call('POST', path, { body: { dry_run: true } });
    expect(plan.status, plan.text).to.equal(200);
    fits(SyntheticFullPlan, plan.body);
    expect(plan.body).to.deep.include({ backup_id: ids[2], reads: [ids[1], ids[0]] });
    const printed = await strataOn(api, 'consolidate', 'web', '--synthetic-full', '--dry-run');
    expect(printed.out, printed.err)
      .to.include(`${ids[2]} becomes a full`)
      .and.to.include('nothing was changed');
    expect(await jobsEnd(), 'no job').to.equal(0);
    expect(await chain()).to.deep.equal(before);
    expect((await strataOn(api, 'consolidate', 'web', '--synthetic-full', '--wait')).code).to.equal(0);
    expect((await chain()).backups.at(-1)).to.include({ backup_type: 'full' });
  });

  it('of options that do not go together is told, and nothing is asked for', async () => {
    for (const args of [
      ['consolidate', 'web', '--synthetic-full', '--keep', ids[0] ?? ''],
      ['consolidate', 'web', '--keep', ids[2] ?? '', '--dry-run', '--wait'],
      ['consolidate', 'web', '--seen', ids[2] ?? ''],
      ['delete', 'web', '--all-of-vm', '--all-of-repo', '--yes'],
      ['delete', ids[0] ?? '', '--yes'],
      ['delete', ids[0] ?? '', '--repo', 'main'],
      ['validate', '--repository', 'main', '--repo', 'main'],
      ['restore', ids[0] ?? '', '/x', '--no-verify', '--allow-damaged'],
      ['policy', 'add', 'p', '--jitter', '5'],
      ['policy', 'add', 'p', '--repo', 'main'],
    ]) {
      const { code, err } = await strataOn(api, ...args);
      expect(code, args.join(' ')).to.equal(2);
      expect(err, args.join(' ')).to.match(/do not go together|says something with/);
    }
    expect(await completed()).to.deep.equal(ids);
    expect(await jobsEnd()).to.equal(0);
  });
});
