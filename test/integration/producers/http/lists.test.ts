import { expect } from 'chai';
import { BackupPage, ChainPage, RestorePointPage, VmPage } from '../../../../src/contract/index.js';
import type { TSchema } from 'typebox';
import { addVm } from '../../../helpers/rows.js';
import { isProblem, openApi, type TestApi } from './support.js';

describe('Lists of the API', () => {
  let api: TestApi;
  let ids: string[];
  before(async () => {
    api = await openApi();
    const { ds } = api.fleet.suite;
    ids = [];
    for (const name of ['a', 'b', 'c']) {
      const vm = await addVm(ds, name);
      for (let n = 0; n < 7; n++)
        ids.push(await vm.insertBackup({ type: null, status: 'failed', parent: null }));
    }
    // Many in one instant: only the id tells them apart.
    await ds.query(
      `UPDATE backup_jobs SET created_at = '2025-01-01 00:00:00.125' WHERE disk_id = 0 AND vm_context_id <> 'c-ctx'`,
    );
    await ds.query(
      `INSERT INTO restore_points (id, vm_context_id, repository_id, type, status, created_at)
       WITH RECURSIVE points (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM points WHERE n < 9)
       SELECT CONCAT('rp_00', n), 'a-ctx', 'x', 'full', 'pending', '2025-01-01' FROM points`,
    );
  });
  after(() => api.close());

  const walk = async (path: string, schema: TSchema, limit: number): Promise<string[]> => {
    const found: string[] = [];
    for (let cursor: string | null = ''; cursor !== null; ) {
      const glue = path.includes('?') ? '&' : '?';
      const page = await api.read(
        `${path}${glue}limit=${limit}${cursor === '' ? '' : `&cursor=${cursor}`}`,
        schema,
      );
      expect(page.items.length).to.be.at.most(limit);
      if (page.next_cursor !== null) expect(page.items).to.have.length(limit);
      found.push(
        ...page.items.map((item: { id?: string; vm_context_id: string }) => item.id ?? item.vm_context_id),
      );
      cursor = page.next_cursor;
    }
    return found;
  };

  it('give every item once, in one order, whatever the size of the page', async () => {
    const all = await walk('backups', BackupPage, 500);
    expect([...all].sort()).to.deep.equal([...ids].sort());
    const { items } = await api.read('backups?limit=500', BackupPage);
    const keys = items.map((item: { created_at: string; id: string }) => `${item.created_at} ${item.id}`);
    for (const [index, key] of keys.slice(1).entries()) expect(key < keys[index], key).to.equal(true);
    for (const limit of [1, 2, 7, 20, 21])
      expect(await walk('backups', BackupPage, limit)).to.deep.equal(all);
    const ofA = await walk('backups?vm_name=a&status=failed', BackupPage, 3);
    expect(ofA).to.deep.equal(all.filter((id) => ids.indexOf(id) < 7));
    expect(await walk('vms', VmPage, 2)).to.deep.equal(['a-ctx', 'b-ctx', 'c-ctx']);
    expect(await walk('chains', ChainPage, 1)).to.have.length(3);
    for (const query of ['', '?vm_context_id=a-ctx']) {
      const points = await walk(`restore-points${query}`, RestorePointPage, 4);
      expect(new Set(points).size).to.equal(points.length);
      expect(points.length).to.equal(query === '' ? 12 : 10);
    }
  });

  it('do not skip or repeat an item when others are added between two pages', async () => {
    const first = await api.read('backups?limit=5', BackupPage);
    const vm = await addVm(api.fleet.suite.ds, 'late');
    const late = await vm.insertBackup({ type: null, status: 'failed', parent: null });
    const second = await api.read(`backups?limit=500&cursor=${first.next_cursor}`, BackupPage);
    const seen = [...first.items, ...second.items].map((item: { id: string }) => item.id);
    expect(seen).not.to.include(late);
    expect([...seen].sort()).to.deep.equal([...ids].sort());
  });

  it('refuse a cursor that is broken or of another list', async () => {
    const { next_cursor: ofBackups } = await api.read('backups?limit=1', BackupPage);
    const { next_cursor: ofVms } = await api.read('vms?limit=1', VmPage);
    const made = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const bad = [
      'x',
      '!!!',
      made(null),
      made({}),
      made([1]),
      made(["' OR 1=1", '2025-01-01T00:00:00.000Z']),
      made(['bkp_0', 'yesterday']),
    ];
    for (const cursor of [...bad, ofVms]) {
      expect(
        isProblem(await api.call('GET', `backups?cursor=${cursor}`), 400, 'invalid_request'),
      ).to.deep.equal(['cursor']);
    }
    for (const cursor of [...bad, ofBackups]) {
      expect(isProblem(await api.call('GET', `vms?cursor=${cursor}`), 400, 'invalid_request')).to.deep.equal([
        'cursor',
      ]);
    }
  });
});
