import { expect } from 'chai';
import { createToken } from '../../../../src/db/fleet/tokens.js';
import { accessOf } from '../../../../src/producers/http/access.js';
import { systemClock } from '../../../../src/shared/clock.js';
import { BASE, isProblem, openApi, type TestApi } from './support.js';

const PROBES = ['/healthz', '/readyz', `${BASE}/healthz`, `${BASE}/readyz`];
const basic = (password: string) => `Basic ${Buffer.from(`anybody:${password}`).toString('base64')}`;

describe('Tokens and roles of the API', () => {
  let api: TestApi;
  before(async () => {
    api = await openApi();
  });
  after(() => api.close());

  /** A path that the route matches, naming things that do not exist. */
  const pathOf = (url: string) =>
    url
      .replace(':vm_context_id', 'no-vm')
      .replace(':disk_id', '0')
      .replace(':backup_id', 'bkp_0')
      .replace(':chain_id', 'chn_0')
      .replace(':id', idOf(url))
      .replaceAll(/:[a-zA-Z]+/g, 'x')
      .replaceAll('*', 'x');
  const idOf = (url: string) => {
    const prefixes = {
      repositories: 'repo',
      'restore-points': 'rp',
      restores: 'rst',
      jobs: 'bkp',
      tokens: 'tok',
    };
    return `${Object.entries(prefixes).find(([name]) => url.includes(`/${name}/`))?.[1] ?? 'x'}_0`;
  };
  const inject = (method: string, url: string, headers: Record<string, string> = {}) =>
    api.app.inject({ method: method as 'GET', url, headers });

  it('refuses every route without a token, those of plugins included, but the probes', async () => {
    expect(api.routes.length).to.be.greaterThan(80);
    for (const { method, url } of api.routes) {
      const path = pathOf(url);
      const { statusCode, headers } = await inject(method, path);
      if (PROBES.includes(url)) {
        expect(statusCode, `${method} ${path}`).to.equal(200);
        continue;
      }
      expect(statusCode, `${method} ${path}`).to.equal(401);
      expect(headers['www-authenticate'], path).to.match(/^(Basic|Bearer) realm="strata"/);
    }
  });

  it('refuses every route with a token that is unknown, malformed, or sent in another way', async () => {
    const wrong = [
      `Bearer ${api.tokens.admin.slice(0, -1)}`,
      'Bearer strata_',
      `Bearer ${'x'.repeat(5000)}`,
      `Token ${api.tokens.admin}`,
      api.tokens.admin,
      basic(api.tokens.admin),
      "Bearer ' OR 1=1 -- ",
    ];
    for (const authorization of wrong) {
      const answer = await api.call('GET', 'repositories', { as: 'nobody', headers: { authorization } });
      isProblem(answer, 401, 'unauthorized');
    }
    const inQuery = `repositories?token=${api.tokens.admin}`;
    isProblem(await api.call('GET', inQuery, { as: 'nobody' }), 401, 'unauthorized');
  });

  it('tells an unknown path only to who has a token', async () => {
    isProblem(await api.call('GET', 'nothing-here', { as: 'nobody' }), 401, 'unauthorized');
    isProblem(await api.call('GET', 'nothing-here', { as: 'viewer' }), 404, 'not_found');
  });

  it('lets a viewer read and an operator work, and leaves the rest to an admin, on every route', async () => {
    const operators =
      /^(PUT .*\/(vms|extents)|POST .*\/(backups|restores|cancel|validate|synthetic-full|run|complete|progress|fail))$/;
    for (const { method, url } of api.routes) {
      const name = `${method} ${url}`;
      const isAdmins = [`${BASE}/tokens`, `${BASE}/webhooks`].some((path) => url.startsWith(path));
      const reads = ['GET', 'HEAD'].includes(method) && !isAdmins;
      if (PROBES.includes(url) || url === `${BASE}/events`) continue;
      const allowed = async (role: 'viewer' | 'operator') =>
        (await inject(method, pathOf(url), { authorization: `Bearer ${api.tokens[role]}` })).statusCode !==
        403;
      expect(await allowed('viewer'), `${name} for a viewer`).to.equal(reads);
      expect(await allowed('operator'), `${name} for an operator`).to.equal(reads || operators.test(name));
    }
  });

  it('is closed for a route that does not say whom it is for', () => {
    expect(accessOf('GET', undefined)).to.equal('viewer');
    for (const method of ['POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']) {
      expect(accessOf(method, undefined), method).to.equal('admin');
    }
  });

  it('takes the token as password of the browser on the pages, and nowhere else', async () => {
    const authorization = basic(api.tokens.viewer);
    for (const path of ['/docs', '/docs/static/index.html', '/queues', '/queues/api/queues']) {
      const answer = await inject('GET', path, { authorization });
      expect([200, 302], path).to.include(answer.statusCode);
      expect((await inject('GET', path)).headers['www-authenticate'], path).to.match(/^Basic /);
    }
    expect((await inject('GET', `${BASE}/repositories`, { authorization })).statusCode).to.equal(401);
    expect((await inject('GET', '/docsx', { authorization })).statusCode).to.equal(401);
  });

  it('does not let another site use the credentials that a browser remembers', async () => {
    const authorization = basic(api.tokens.admin);
    const put = (site: string) =>
      inject('PUT', '/queues/api/queues/backup.default/pause', { authorization, 'sec-fetch-site': site });
    expect((await put('cross-site')).statusCode).to.equal(401);
    expect((await put('same-site')).statusCode).to.equal(401);
    expect((await put('same-origin')).statusCode).not.to.equal(401);
  });

  it('stops to take a token when it has expired, and at once when it is deleted', async () => {
    const short = await createToken(api.fleet.suite.ds, {
      name: 'short',
      role: 'viewer',
      expiresAt: new Date(Date.now() + 60_000),
      now: systemClock.now(),
    });
    const use = async (token: string) =>
      (await inject('GET', `${BASE}/repositories`, { authorization: `Bearer ${token}` })).statusCode;
    expect(await use(short.token)).to.equal(200);
    expect((await api.call('DELETE', `tokens/${short.row.id}`)).status).to.equal(204);
    expect(await use(short.token)).to.equal(401);
    const past = await createToken(api.fleet.suite.ds, {
      name: 'past',
      role: 'admin',
      expiresAt: new Date(Date.now() - 1000),
      now: systemClock.now(),
    });
    expect(await use(past.token)).to.equal(401);
  });

  it('asks the database for a token once in some seconds, and notes its use at most once a minute', async () => {
    const { ds } = api.fleet.suite;
    const { token, row } = await createToken(ds, {
      name: 'busy',
      role: 'viewer',
      expiresAt: null,
      now: systemClock.now(),
    });
    const use = () => inject('GET', '/healthz/../api/v1/jobs/bkp_0', { authorization: `Bearer ${token}` });
    const read = async () =>
      (
        await ds.query<{ last_used_at: Date | null }[]>('SELECT last_used_at FROM api_tokens WHERE id = ?', [
          row.id,
        ])
      )[0]?.last_used_at;
    expect(await read()).to.equal(null);
    await use();
    const first = await read();
    expect(first).to.be.instanceOf(Date);
    await use();
    expect(await read()).to.deep.equal(first);
    // What the cache remembers answers even though the row is gone.
    await ds.query('DELETE FROM api_tokens WHERE id = ?', [row.id]);
    expect((await use()).statusCode).not.to.equal(401);
  });

  it('keeps no token, only its SHA-256', async () => {
    const rows = await api.fleet.suite.ds.query<object[]>('SELECT * FROM api_tokens');
    expect(JSON.stringify(rows)).not.to.contain('strata_');
  });
});
