import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import fc from 'fast-check';
import { ChangeIdAnswer, Vm, VmPage } from '../../../../src/contract/index.js';
import { checkVmName } from '../../../../src/shared/names.js';
import { writeAt } from '../../../helpers/disks.js';
import { createVmOfDisks, expectSame, told } from '../../../helpers/vmOfDisks.js';
import { isProblem, openApi, type TestApi } from './support.js';

const SIZE = 1024 * 1024;

describe('The name of a VM', () => {
  let api: TestApi;
  before(async () => {
    api = await openApi();
    api.fleet.work(2);
  });
  after(() => api.close());

  const put = async (vm_name: string, more: object = {}): Promise<Vm> => {
    const answer = await api.call('PUT', 'vms', {
      body: { vm_name, repository_id: 'main', disks: [], ...more },
    });
    expect(answer.status, answer.text).to.equal(200);
    return answer.body;
  };
  const named = async (name: string): Promise<Vm[]> =>
    (await api.read(`vms?${new URLSearchParams({ vm_name: name }).toString()}`, VmPage)).items;
  const isName = (name: string) => {
    try {
      return checkVmName(name, 'vm_name') === name;
    } catch {
      return false;
    }
  };

  it('comes back as it was given, whatever it is made of, and names this VM alone', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.string({ unit: 'binary', minLength: 1, maxLength: 255 }).filter(isName),
        async (name) => {
          const made = await put(name);
          expect(made.vm_name).to.equal(name);
          expect((await named(name)).map(({ vm_context_id }) => vm_context_id)).to.deep.equal([
            made.vm_context_id,
          ]);
          expect((await put(name)).vm_context_id).to.equal(made.vm_context_id);
          expect(made.vm_context_id).to.match(/^[A-Za-z0-9][A-Za-z0-9._-]{0,80}$/);
        },
      ),
      { numRuns: 25 },
    );
  });

  it('is not that of a VM that looks alike: case, accents, composed and decomposed, wide and narrow', async () => {
    const alike = [
      'web',
      'WEB',
      'Web',
      'wéb',
      'we\u0301b',
      'wèb',
      'ｗｅｂ',
      'web\u200B',
      'wеb',
      'weß',
      'wess',
      '😀',
      '😁',
    ];
    const ids = new Set<string>();
    for (const name of alike) ids.add((await put(name)).vm_context_id);
    expect(ids.size).to.equal(alike.length);
    for (const name of alike) expect((await named(name)).map((vm) => vm.vm_name)).to.deep.equal([name]);
  });

  it('is refused with a blank at its end or on two lines, and nothing is stored', async () => {
    for (const name of ['end ', 'two\nlines', '\u200B', 'x'.repeat(256)]) {
      const answer = await api.call('PUT', 'vms', {
        body: { vm_name: name, repository_id: 'main', disks: [] },
      });
      expect(answer.status, JSON.stringify(name)).to.equal(400);
      expect(answer.body.errors[0].field).to.equal('vm_name');
    }
    expect(await named('end')).to.deep.equal([]);
  });

  it('never becomes a path: files have short harmless names, and what was backed up reads back', async () => {
    const names = ["../../[O'Reilly] & Söhne: web/1", '日本語のサーバー'.repeat(31), '-rf $(id)'];
    for (const [index, vm_name] of names.entries()) {
      const vm = await createVmOfDisks(api.fleet, { name: `file-${index}`, ids: [0], sizeBytes: SIZE });
      const { backups, point } = await vm.backUp('full', undefined, { vm_name });
      expect(told(backups[0]!), vm_name).to.equal('full');
      await expectSame(api.fleet, Object.values(backups));
      const directory = join(join(api.fleet.suite.tempDir, 'repository'), point.vmContextId, 'disk-0');
      for (const file of await readdir(directory)) expect(file).to.match(/^[A-Za-z0-9._-]{1,120}$/);
      const shown = await api.read(`vms/${point.vmContextId}`, Vm);
      expect(shown.vm_name).to.equal(vm_name);
    }
    const top = (await readdir(join(api.fleet.suite.tempDir, 'repository'))).filter(
      (name) => !name.startsWith('.'),
    );
    for (const name of top) expect(name).to.match(/^[A-Za-z0-9][A-Za-z0-9._-]*$/);
  });

  it('that is another one under the same upstream_id does not cost a full: the chain goes on', async () => {
    const hook = { name: 'renamed', url: 'http://127.0.0.1:9/', events: ['vm.renamed'] };
    expect((await api.call('POST', 'webhooks', { body: hook })).status).to.equal(201);
    const vm = await createVmOfDisks(api.fleet, { name: 'old-name', ids: [0], sizeBytes: SIZE });
    const upstream_id = 'vm-4711';
    const first = await vm.backUp('full', [{ disk_id: 0, change_id: 'a' }], { upstream_id });
    await writeAt(vm.path(0), 4096, 4096);
    const vm_name = 'new & better: [name]';
    const query = new URLSearchParams({ vm_name, upstream_id, repository_id: 'main', disk_id: '0' });
    const known = await api.read(`backups/changeid?${query.toString()}`, ChangeIdAnswer);
    expect(known).to.include({ change_id: 'a', backup_id: first.backups[0]?.id });
    expect(await named(vm_name), 'a question renames nothing').to.deep.equal([]);
    const next = await vm.backUp('incremental', undefined, { vm_name, upstream_id });
    expect(told(next.backups[0]!)).to.equal('incremental');
    expect(next.backups[0]).to.include({ parentBackupId: first.backups[0]?.id });
    const [now] = await named(vm_name);
    expect(now).to.include({ vm_context_id: first.point.vmContextId, previous_name: 'old-name' });
    expect(await named('old-name')).to.deep.equal([]);
    await expectSame(api.fleet, [...Object.values(first.backups), ...Object.values(next.backups)]);
    const events = await api.fleet.suite.ds.query<{ subject_id: string }[]>(
      `SELECT subject_id FROM outbox_events WHERE type = 'vm.renamed'`,
    );
    expect(events.map(({ subject_id }) => subject_id)).to.deep.equal([first.point.vmContextId]);
  });

  it('is not taken for a new one where its upstream_id stands for several VMs: chains must not mix', async () => {
    const upstream_id = 'vcenter-1';
    const a = await createVmOfDisks(api.fleet, { name: 'a', ids: [0], sizeBytes: SIZE });
    const b = await createVmOfDisks(api.fleet, { name: 'b', ids: [0], sizeBytes: SIZE });
    // Registered before any backup: two VMs.
    await put('a', { upstream_id });
    await put('b', { upstream_id });
    const first = await a.backUp('full', undefined, { upstream_id });
    const other = await b.backUp('auto', undefined, { upstream_id });
    expect(told(other.backups[0]!)).to.equal('full');
    expect(other.point.vmContextId).not.to.equal(first.point.vmContextId);
    const third = await put('c', { upstream_id });
    expect([first.point.vmContextId, other.point.vmContextId]).not.to.include(third.vm_context_id);
  });

  it('that comes back after a backup under the new one is another VM', async () => {
    const upstream_id = 'host-7';
    const a = await createVmOfDisks(api.fleet, { name: 'to', ids: [0], sizeBytes: SIZE });
    const first = await a.backUp('full', undefined, { upstream_id });
    const renamed = await a.backUp('auto', undefined, { upstream_id, vm_name: 'fro' });
    expect(renamed.point.vmContextId).to.equal(first.point.vmContextId);
    const back = await a.backUp('auto', undefined, { upstream_id });
    expect(back.point.vmContextId).not.to.equal(first.point.vmContextId);
    expect((await named('fro'))[0]?.vm_context_id).to.equal(first.point.vmContextId);
  });

  it('may be given back before anything was backed up under the new one', async () => {
    const upstream_id = 'vm-8';
    const a = await createVmOfDisks(api.fleet, { name: 'typo', ids: [0], sizeBytes: SIZE });
    const first = await a.backUp('full', undefined, { upstream_id });
    expect(await put('tpyo', { upstream_id })).to.include({ vm_context_id: first.point.vmContextId });
    expect(await put('typo', { upstream_id })).to.include({
      vm_context_id: first.point.vmContextId,
      previous_name: 'tpyo',
    });
  });

  it('of another VM without an upstream_id is never taken over', async () => {
    const a = await createVmOfDisks(api.fleet, { name: 'plain', ids: [0], sizeBytes: SIZE });
    const first = await a.backUp('full');
    expect((await put('plain two')).vm_context_id).not.to.equal(first.point.vmContextId);
    isProblem(await api.call('GET', 'vms/plain'), 404, 'not_found');
  });
});
