import { expect } from 'chai';
import { access, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  Healthz,
  MetricsTargets,
  Readyz,
  Repository,
  RepositoryPage,
  Token,
  TokenCreated,
  TokenPage,
} from '../../../../src/contract/index.js';
import { heartbeat } from '../../../../src/db/fleet/processes.js';
import { forgetOldKeys } from '../../../../src/db/job/idempotency.js';
import { createHttpServer } from '../../../../src/producers/http/index.js';
import { MARKER_NAME } from '../../../../src/services/repository/marker.js';
import { fits, isProblem, openApi, type TestApi } from './support.js';

describe('Repositories, tokens and probes of the API', () => {
  let api: TestApi;
  before(async () => {
    api = await openApi();
  });
  after(() => api.close());

  const create = (name: string, root = name) =>
    api.call('POST', 'repositories', {
      body: { name, type: 'local', root_path: join(api.fleet.suite.tempDir, root), min_free_bytes: 2 ** 40 },
    });

  it('registers a repository, shows and changes it', async () => {
    const made = await create('second');
    expect(made.status, made.text).to.equal(201);
    fits(Repository, made.body);
    expect(made.body).to.include({
      pool: 'default',
      enabled: true,
      min_free_bytes: 2 ** 40,
      max_parallel_jobs: null,
    });
    expect(made.headers['location']).to.equal(`/api/v1/repositories/${made.body.id}`);
    const path = `repositories/${made.body.id}`;
    expect(await api.read(path, Repository)).to.deep.equal(made.body);
    expect((await api.read('repositories', RepositoryPage)).items).to.deep.include(made.body);
    const change = { name: 'renamed', pool: 'fast', enabled: false, min_free_bytes: 0, max_parallel_jobs: 3 };
    const changed = await api.call('PATCH', path, { body: change });
    fits(Repository, changed.body);
    expect(changed.body).to.deep.equal({ ...made.body, ...change });
    const cleared = await api.call('PATCH', path, { body: { max_parallel_jobs: null, immutable_days: 7 } });
    expect(cleared.body).to.include({ max_parallel_jobs: null, immutable_days: 7, name: 'renamed' });
    const backup = { vm_name: 'a', repository_id: 'renamed', backup_type: 'full' };
    isProblem(await api.call('POST', 'backups', { body: backup }), 409, 'wrong_state');
  });

  it('refuses names and roots that are taken or not allowed, and empty changes', async () => {
    expect(isProblem(await create('main', 'third'), 409, 'name_taken')).to.deep.equal(['name']);
    expect(isProblem(await create('third', 'second'), 409, 'name_taken')).to.deep.equal(['root_path']);
    const path = `repositories/${api.fleet.repositoryId}`;
    const patch = (body: unknown) => api.call('PATCH', path, { body });
    isProblem(await patch({ name: 'renamed' }), 409, 'name_taken');
    expect(isProblem(await patch({ name: 'a/b' }), 400, 'invalid_name')).to.deep.equal(['name']);
    expect(isProblem(await patch({ pool: '..' }), 400, 'invalid_name')).to.deep.equal(['pool']);
    expect(isProblem(await patch({ root_path: '/x' }), 400, 'invalid_request')).to.deep.equal(['root_path']);
    isProblem(await patch({}), 400, 'invalid_request');
    isProblem(await api.call('PATCH', 'repositories/repo_0', { body: { enabled: true } }), 404, 'not_found');
  });

  it('removes a repository with the VMs registered in it, and lets its directory be registered again', async () => {
    const { body } = await create('gone');
    const vm = { vm_name: 'a', repository_id: 'gone', disks: [{ disk_id: 0 }] };
    expect((await api.call('PUT', 'vms', { body: vm })).status).to.equal(200);
    expect((await api.call('DELETE', `repositories/${body.id}`)).status).to.equal(204);
    isProblem(await api.call('DELETE', `repositories/${body.id}`), 404, 'not_found');
    expect((await create('again', 'gone')).status).to.equal(201);
  });

  it('does not remove a repository that holds backups', async () => {
    const source = { type: 'file', path: join(api.fleet.sources, 'd'), format: 'raw' };
    const body = {
      vm_name: 'a',
      repository_id: 'main',
      backup_type: 'full',
      disks: [{ disk_id: 0, source }],
    };
    expect((await api.call('POST', 'backups', { body })).status).to.equal(202);
    isProblem(
      await api.call('DELETE', `repositories/${api.fleet.repositoryId}`),
      409,
      'repository_not_empty',
    );
    await access(join(api.fleet.repositoryRoot, MARKER_NAME));
    expect(await readFile(join(api.fleet.repositoryRoot, MARKER_NAME), 'utf8')).to.contain(
      api.fleet.repositoryId,
    );
  });

  it('accepts a backup once per Idempotency-Key, and tells another request from it', async () => {
    const disk = { disk_id: 1, source: { type: 'file', path: join(api.fleet.sources, 'e'), format: 'raw' } };
    const body = { vm_name: 'once', repository_id: 'main', backup_type: 'full', disks: [disk] };
    const send = (key: string, sent: unknown, as: 'admin' | 'operator' = 'operator') =>
      api.call('POST', 'backups', { as, body: sent, headers: { 'idempotency-key': key } });
    const first = await send('key 1', body);
    expect(first.status, first.text).to.equal(202);
    const turned = Object.fromEntries(Object.entries(body).reverse());
    expect((await send('key 1', turned)).body).to.deep.equal(first.body);
    isProblem(await send('key 1', { ...body, backup_type: 'auto' }), 422, 'idempotency_mismatch');
    const other = await send('key 1', body, 'admin');
    expect(other.body.restore_point_id).not.to.equal(first.body.restore_point_id);
    for (const key of ['x'.repeat(192), ' ', 'a\tb', 'ü']) {
      expect(isProblem(await send(key, body), 400, 'invalid_request'), key).to.deep.equal([
        'Idempotency-Key',
      ]);
    }
    const { ds } = api.fleet.suite;
    expect(await forgetOldKeys(ds, 1, 100)).to.equal(0);
    await ds.query('UPDATE idempotency_keys SET created_at = created_at - INTERVAL 2 DAY');
    expect(await forgetOldKeys(ds, 1, 1)).to.equal(1);
    expect(await forgetOldKeys(ds, 1, 100)).to.equal(1);
  });

  it('makes tokens that are told once, and removes them, but not the last of an admin', async () => {
    const expires_at = new Date(Date.now() + 3_600_000).toISOString();
    const made = await api.call('POST', 'tokens', { body: { name: 'ci', role: 'operator', expires_at } });
    expect(made.status, made.text).to.equal(201);
    fits(TokenCreated, made.body);
    expect(made.body.token).to.match(/^strata_[A-Za-z0-9_-]{43}$/);
    expect(made.body).to.include({ name: 'ci', role: 'operator', expires_at, last_used_at: null });
    const shown = await api.call('GET', `tokens/${made.body.id}`);
    fits(Token, shown.body);
    const list = await api.call('GET', 'tokens');
    fits(TokenPage, list.body);
    expect(list.text + shown.text).not.to.contain(made.body.token);
    isProblem(await api.call('POST', 'tokens', { body: { name: 'ci', role: 'viewer' } }), 409, 'name_taken');
    const past = { name: 'past', role: 'viewer', expires_at: '2001-01-01T00:00:00Z' };
    expect(isProblem(await api.call('POST', 'tokens', { body: past }), 400, 'invalid_request')).to.deep.equal(
      ['expires_at'],
    );
    expect((await api.call('DELETE', `tokens/${made.body.id}`)).status).to.equal(204);
    isProblem(await api.call('DELETE', `tokens/${made.body.id}`), 404, 'not_found');
    const admin = list.body.items.find(({ role }: Token) => role === 'admin');
    isProblem(await api.call('DELETE', `tokens/${admin.id}`), 409, 'wrong_state');
  });

  it('answers the probes without a token, and says which service is away', async () => {
    for (const prefix of ['', '/api/v1']) {
      fits(Healthz, (await api.call('GET', `${prefix}/healthz`, { as: 'nobody' })).body);
      fits(Readyz, (await api.call('GET', `${prefix}/readyz`, { as: 'nobody' })).body);
    }
    const deps = {
      ...api.fleet.accept,
      settings: { ...api.fleet.accept.settings, pools: [] },
      metrics: api.fleet.worker.metrics,
      pingRedis: () => new Promise(() => undefined),
    };
    const lame = createHttpServer(deps);
    const { statusCode, headers, payload } = await lame.inject('/readyz');
    expect(statusCode).to.equal(503);
    expect(headers['retry-after']).to.equal('5');
    expect(JSON.parse(payload)).to.deep.include({ code: 'queue_unavailable' });
    expect(JSON.parse(payload).errors).to.deep.equal([{ field: 'redis', message: 'does not answer' }]);
    expect((await lame.inject('/healthz')).statusCode).to.equal(200);
    await lame.close();
  });

  it('shows metrics as Prometheus reads them, and where the fleet has its own', async () => {
    const { headers, text, status } = await api.call('GET', '/metrics', { as: 'viewer' });
    expect(status).to.equal(200);
    expect(headers['content-type']).to.match(/^text\/plain/);
    expect(text).to.match(/^# TYPE strata_jobs_ended_total counter$/m);
    const { ds } = api.fleet.suite;
    const member = { role: 'worker', host: 'h1', pid: 1, pools: ['default', 'fast'] };
    await heartbeat(ds, { id: 'proc_1', metricsAddress: '10.0.0.1:9400', ...member });
    await heartbeat(ds, { id: 'proc_2', metricsAddress: '10.0.0.2:9400', ...member });
    await heartbeat(ds, { id: 'proc_3', metricsAddress: null, ...member });
    await ds.query(
      `UPDATE fleet_processes SET heartbeat_at = heartbeat_at - INTERVAL 61 SECOND WHERE id = 'proc_2'`,
    );
    expect(await api.read('metrics/targets', MetricsTargets)).to.deep.equal([
      {
        targets: ['10.0.0.1:9400'],
        labels: { process: 'proc_1', role: 'worker', host: 'h1', pools: 'default,fast' },
      },
    ]);
  });
});
