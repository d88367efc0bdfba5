import { expect } from 'chai';
import { BASE, isProblem, openApi, type TestApi } from './support.js';

const NAMES = [
  "'; DROP TABLE backup_jobs; --",
  '" OR ""="',
  '%',
  '_',
  '\\',
  '\u0000',
  '../../etc',
  'a'.repeat(128),
  '🙂',
];

describe('Errors of the API', () => {
  let api: TestApi;
  before(async () => {
    api = await openApi();
  });
  after(() => api.close());

  const post = (body: unknown, path = 'backups') => api.call('POST', path, { body });
  const backup = (more: object = {}) => ({
    vm_name: 'a',
    repository_id: 'main',
    backup_type: 'full',
    ...more,
  });
  const disk = (more: object) => backup({ disks: [{ disk_id: 0, ...more }] });

  it('names every field that does not fit, in the words of the request', async () => {
    const cases: [unknown, string[]][] = [
      [{}, ['vm_name', 'repository_id', 'backup_type']],
      [null, ['']],
      [[], ['']],
      ['text', ['']],
      [backup({ vm_name: 7 }), ['vm_name']],
      [backup({ vm_name: '' }), ['vm_name']],
      [backup({ backup_type: 'Full' }), ['backup_type']],
      [backup({ priority: 1001 }), ['priority']],
      [backup({ priority: 0.5 }), ['priority']],
      [backup({ priority: '1' }), ['priority']],
      [backup({ disks: [] }), ['disks']],
      [backup({ disks: [{}] }), ['disks[0].disk_id']],
      [backup({ disks: [{ disk_id: 0 }, { disk_id: '1' }] }), ['disks[1].disk_id']],
      [backup({ disks: [{ disk_id: -1 }] }), ['disks[0].disk_id']],
      [backup({ disks: [{ disk_id: 10_000 }] }), ['disks[0].disk_id']],
      [backup({ tags: { a: 1 } }), ['tags.a']],
      [backup({ tags: { ['k'.repeat(64)]: 'v' } }), [`tags.${'k'.repeat(64)}`]],
      [backup({ tags: Object.fromEntries(Array.from({ length: 33 }, (_, i) => [`t${i}`, ''])) }), ['tags']],
      [disk({ change_id: '' }), ['disks[0].change_id']],
      [disk({ change_id: 'x'.repeat(192) }), ['disks[0].change_id']],
      [disk({ changed_extents: [{ offset: 0 }] }), ['disks[0].changed_extents[0].length']],
      [disk({ changed_extents: [{ offset: 0.5, length: 1 }] }), ['disks[0].changed_extents[0].offset']],
      [disk({ changed_extents: [{ offset: 2 ** 60, length: 1 }] }), ['disks[0].changed_extents[0].offset']],
    ];
    for (const [body, fields] of cases) {
      const answer = await api.call('POST', 'backups', { raw: JSON.stringify(body) });
      expect(isProblem(answer, 400, 'invalid_request'), JSON.stringify(body)).to.deep.equal(fields);
    }
  });

  it('refuses unknown properties by name, at any depth', async () => {
    const cases: [unknown, string[]][] = [
      [backup({ bakup_type: 'full' }), ['bakup_type']],
      [disk({ diskid: 1 }), ['disks[0].diskid']],
      [
        disk({ source: { type: 'file', path: '/a', format: 'raw', bitmap: 'b' } }),
        ['disks[0].source.bitmap'],
      ],
      [
        disk({ changed_extents: [{ offset: 0, length: 1, type: 'zero' }] }),
        ['disks[0].changed_extents[0].type'],
      ],
      [backup(Object.fromEntries(Array.from({ length: 30 }, (_, i) => [`u${i}`, 1]))), []],
    ];
    for (const [body, fields] of cases) {
      const found = isProblem(await post(body), 400, 'invalid_request');
      if (fields.length > 0) expect(found).to.deep.equal(fields);
      else expect(found).to.include('u0');
    }
    isProblem(await post({ level: 'quick', deep: true }, 'chains/chn_0/validate'), 400, 'invalid_request');
    isProblem(await post({ reason: 'x' }, 'backups/bkp_0/cancel'), 400, 'invalid_request');
  });

  it('explains a source by the kind that was meant', async () => {
    const cases: [unknown, string, RegExp][] = [
      [{ type: 'pull' }, 'disks[0].source.type', /nbd, file, push/],
      [{ type: 'push' }, 'disks[0].virtual_size', /stated once/],
      [{ type: 'nbd' }, 'disks[0].source.uri', /required/],
      [{ type: 'file', path: '/a', format: 'iso' }, 'disks[0].source.format', /raw, qcow2, vmdk/],
      [{ type: 'file', path: 3, format: 'raw' }, 'disks[0].source.path', /string/],
      [{}, 'disks[0].source.type', /nbd, file/],
      ['/dev/sda', 'disks[0].source', /object/],
    ];
    for (const [source, field, message] of cases) {
      const answer = await post(disk({ source }));
      isProblem(answer, 400, 'invalid_request');
      expect(answer.body.errors, JSON.stringify(source)).to.have.length(1);
      expect(answer.body.errors[0].field).to.equal(field);
      expect(answer.body.errors[0].message).to.match(message);
    }
  });

  it('passes on what the domain refuses, with the field', async () => {
    const put = (disks: object[]) =>
      api.call('PUT', 'vms', { body: { vm_name: 'a', repository_id: 'main', disks } });
    const outside = { type: 'file', path: '/etc/passwd', format: 'raw' };
    expect(isProblem(await put([{ disk_id: 0, source: outside }]), 400, 'path_not_allowed')).to.deep.equal([
      'disks[0].source.path',
    ]);
    isProblem(await put([{ disk_id: 0, virtual_size: 513 }]), 400, 'size_not_aligned');
    expect(isProblem(await put([{ disk_id: 1 }, { disk_id: 1 }]), 400, 'invalid_request')).to.deep.equal([
      'disks[1].disk_id',
    ]);
    expect(isProblem(await post(backup({ vm_name: 'two\nlines' })), 400, 'invalid_name')).to.deep.equal([
      'vm_name',
    ]);
    expect(isProblem(await post(backup({ repository_id: 'no' })), 404, 'not_found')).to.deep.equal([
      'repository_id',
    ]);
    isProblem(await post(disk({ changed_extents: [{ offset: 0, length: 0 }] })), 400, 'extents_invalid');
  });

  it('answers unknown routes, wrong methods and paths that are no paths as problems', async () => {
    isProblem(await api.call('GET', 'nothing'), 404, 'not_found');
    isProblem(await api.call('GET', 'backups/%'), 400, 'invalid_request');
    isProblem(await api.call('GET', `vms/${'x'.repeat(300)}`), 400, 'invalid_request');
  });

  it('tells what does not exist from what cannot exist', async () => {
    for (const path of [
      'backups/bkp_0',
      'chains/chn_0',
      'restores/rst_0',
      'restore-points/rp_0',
      'vms/no-vm',
    ]) {
      isProblem(await api.call('GET', path), 404, 'not_found');
    }
    for (const path of ['jobs/bkp_0', 'jobs/mnt_0', 'jobs/rst_0', 'tokens/tok_0', 'repositories/repo_0']) {
      isProblem(await api.call('GET', path), 404, 'not_found');
    }
    for (const path of ['vms/no-vm/disks/0/chain', 'events?job_id=bkp_0']) {
      isProblem(await api.call('GET', path), 404, 'not_found');
    }
    expect(isProblem(await api.call('GET', 'backups/7'), 400, 'invalid_request')).to.deep.equal([
      'backup_id',
    ]);
    for (const path of ['backups/bkp_0%20', 'jobs/repo_0', 'vms/..%2Fx', 'vms/a/disks/-1/chain']) {
      isProblem(await api.call('GET', path), 400, 'invalid_request');
    }
    isProblem(
      await api.call('POST', 'chains/chn_0/validate', { body: { level: 'quick' } }),
      404,
      'not_found',
    );
    isProblem(await api.call('POST', 'backups/bkp_0/cancel'), 404, 'not_found');
    const restore = {
      backup_id: 'bkp_0',
      target: { type: 'file', path: `${api.fleet.restores}/x` },
      format: 'raw',
    };
    isProblem(await post(restore, 'restores'), 404, 'not_found');
  });

  it('refuses queries with unknown names, values of another type, and the same name twice', async () => {
    for (const query of [
      'statsu=failed',
      'status=fail',
      'limit=0',
      'limit=501',
      'limit=x',
      'limit=',
      'limit=1e2',
    ]) {
      isProblem(await api.call('GET', `backups?${query}`), 400, 'invalid_request');
    }
    for (const query of ['limit=1&limit=2', 'disk_id=0x1', 'disk_id=1.5', '__proto__=1', 'cursor=']) {
      isProblem(await api.call('GET', `backups?${query}`), 400, 'invalid_request');
    }
  });

  it('takes names that look like SQL, patterns or paths for names', async () => {
    for (const name of NAMES) {
      const encoded = encodeURIComponent(name);
      const list = await api.call('GET', `backups?vm_name=${encoded}`);
      expect(list.status, name).to.equal(200);
      expect(list.body.items, name).to.deep.equal([]);
      expect((await api.call('GET', `vms?vm_name=${encoded}`)).body.items, name).to.deep.equal([]);
      const query = `vm_name=${encoded}&repository_id=main&disk_id=0`;
      expect((await api.call('GET', `backups/changeid?${query}`)).body.change_id, name).to.equal(null);
      expect(
        (await api.call('GET', `backups/changeid?vm_name=a&repository_id=${encoded}&disk_id=0`)).status,
      ).to.be.oneOf([400, 404]);
    }
    const [{ n }] = await api.fleet.suite.ds.query('SELECT COUNT(*) AS n FROM repositories');
    expect(Number(n)).to.equal(1);
  });

  it('keeps what a defect says to itself, and gives an id by which the log tells', async () => {
    await api.fleet.suite.ds.query('RENAME TABLE restore_jobs TO hidden_jobs');
    try {
      const answer = await api.call('GET', 'restores');
      isProblem(answer, 500, 'internal');
      expect(answer.text).not.to.match(/restore_jobs|SELECT|at \w+/);
      expect(answer.headers['x-request-id']).to.equal(answer.body.request_id);
    } finally {
      await api.fleet.suite.ds.query('RENAME TABLE hidden_jobs TO restore_jobs');
    }
  });

  it('sends headers with every answer that keep it from being run, framed, guessed or kept', async () => {
    for (const path of [
      `${BASE}/backups`,
      '/healthz',
      '/nothing',
      `${BASE}/backups/%`,
      '/docs/static/index.html',
    ]) {
      const { headers } = await api.call('GET', path);
      expect(headers, path).to.include({ 'x-content-type-options': 'nosniff', 'x-frame-options': 'DENY' });
      expect(headers['content-security-policy'], path).to.contain("frame-ancestors 'none'");
      expect(headers, path).not.to.have.property('access-control-allow-origin');
    }
  });
});
