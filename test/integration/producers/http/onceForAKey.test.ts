import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { openAnswer, sealAnswer } from '../../../../src/producers/http/sealedAnswer.js';
import { BASE, isProblem, openApi, type TestApi } from './support.js';

describe('An Idempotency-Key', () => {
  let api: TestApi;
  let made = 0;
  before(async () => {
    api = await openApi();
  });
  after(() => api.close());

  const sql = <T>(text: string, values: unknown[] = []) => api.fleet.suite.ds.query<T>(text, values);
  const newKey = () => ({ 'idempotency-key': `key-${++made}` });
  const policy = (name: string) => ({ name, schedule: '0 3 * * *' });

  it('is taken by every POST and DELETE of the API: what was done once is answered the same', async () => {
    const root = join(api.fleet.suite.tempDir, 'twice');
    await mkdir(root);
    const posted: [string, object | undefined][] = [
      ['policies', policy('twice')],
      ['tokens', { name: 'twice', role: 'viewer' }],
      ['webhooks', { name: 'twice', url: 'http://127.0.0.1:9/' }],
      ['repositories', { name: 'twice', type: 'local', root_path: root }],
    ];
    for (const [path, body] of posted) {
      const headers = newKey();
      const first = await api.call('POST', path, { body, headers });
      expect(first.status, `${path} ${first.text}`).to.equal(201);
      const again = await api.call('POST', path, { body, headers });
      expect(again.status, again.text).to.equal(201);
      expect(again.text).to.equal(first.text);
      expect(again.headers['location']).to.equal(first.headers['location']);
      isProblem(await api.call('POST', path, { body, headers: newKey() }), 409, 'name_taken');
      const gone = newKey();
      const target = `${path}/${first.body.id}`;
      for (let round = 0; round < 2; round++) {
        const removed = await api.call('DELETE', target, { headers: gone });
        expect(removed.status, `${target} ${removed.text}`).to.equal(204);
        expect(removed.text).to.equal('');
      }
      isProblem(await api.call('DELETE', target, { headers: newKey() }), 404, 'not_found');
    }
  });

  it('that was used with another body, path or query is refused, and nothing is done', async () => {
    const headers = newKey();
    const { id } = (await api.call('POST', 'policies', { body: policy('first'), headers })).body;
    isProblem(
      await api.call('POST', 'policies', { body: policy('second'), headers }),
      422,
      'idempotency_mismatch',
    );
    isProblem(await api.call('POST', `policies/${id}/run`, { headers }), 422, 'idempotency_mismatch');
    isProblem(await api.call('DELETE', `policies/${id}`, { headers }), 422, 'idempotency_mismatch');
    const names = (await api.call('GET', 'policies')).body.items.map(({ name }: { name: string }) => name);
    expect(names).to.deep.equal(['first']);
    const removal = newKey();
    const vms = await api.call('PUT', 'vms', { body: { vm_name: 'k', repository_id: 'main', disks: [] } });
    const target = `vms/${vms.body.vm_context_id}/backups`;
    expect((await api.call('DELETE', `${target}?dry_run=true`, { headers: removal })).status).to.equal(200);
    expect((await api.call('DELETE', target, { headers: removal })).status).to.equal(202);
  });

  it('does what ten requests at once ask for once', async () => {
    const headers = newKey();
    const body = policy('at once');
    const named = { ...body, name: 'at-once' };
    const answers = await Promise.all(
      Array.from({ length: 10 }, () => api.call('POST', 'policies', { body: named, headers })),
    );
    expect(new Set(answers.map(({ text }) => text)).size, answers[0]?.text).to.equal(1);
    expect(answers[0]?.status).to.equal(201);
  });

  it('is free again after a refusal', async () => {
    const headers = newKey();
    const wrong = { name: 'free', schedule: '0 0 30 2 *' };
    isProblem(await api.call('POST', 'policies', { body: wrong, headers }), 400, 'invalid_request');
    const right = await api.call('POST', 'policies', { body: policy('free'), headers });
    expect(right.status, right.text).to.equal(201);
  });

  it('of a request whose process died says that it is under way, and is taken over when it is old', async () => {
    const headers = newKey();
    const body = policy('died');
    const first = await api.call('POST', 'policies', { body, headers });
    await sql('DELETE FROM policies WHERE id = ?', [first.body.id]);
    const claim = (age: number) =>
      sql(
        `UPDATE idempotency_keys SET response = '{"claimed":true}', created_at = UTC_TIMESTAMP(3) - INTERVAL ? SECOND
         WHERE idempotency_key = ?`,
        [age, headers['idempotency-key']],
      );
    await claim(0);
    isProblem(await api.call('POST', 'policies', { body, headers }), 409, 'request_in_progress');
    await claim(700);
    const over = await api.call('POST', 'policies', { body, headers });
    expect(over.status, over.text).to.equal(201);
  });

  it('keeps no secret that a copy of the database would tell', async () => {
    const headers = newKey();
    const { body } = await api.call('POST', 'tokens', { body: { name: 'secret', role: 'admin' }, headers });
    const rows = await sql<object[]>('SELECT * FROM idempotency_keys');
    expect(JSON.stringify(rows)).not.to.contain(body.token);
    const sealed = sealAnswer('one', { status: 201, body: 'b' });
    expect(openAnswer('one', sealed)).to.deep.equal({ status: 201, body: 'b' });
    expect(() => openAnswer('another', sealed)).to.throw();
  });
});

describe('A path that the API knows', () => {
  let api: TestApi;
  before(async () => {
    api = await openApi();
  });
  after(() => api.close());

  it('refuses other methods with 405 and says which it takes', async () => {
    const cases: [Parameters<TestApi['call']>[0], string, string][] = [
      ['DELETE', 'backups', 'GET, HEAD, POST'],
      ['PUT', 'policies/pol_1', 'DELETE, GET, HEAD, PATCH'],
      ['POST', 'vms', 'GET, HEAD, PUT'],
      ['PATCH', 'jobs/bkp_1/cancel?x=1', 'POST'],
      ['DELETE', 'healthz', 'GET, HEAD'],
    ];
    for (const [method, path, allowed] of cases) {
      const answer = await api.call(method, path);
      isProblem(answer, 405, 'method_not_allowed');
      expect(answer.headers['allow'], path).to.equal(allowed);
    }
    const options = await api.app.inject({
      method: 'OPTIONS',
      url: `${BASE}/backups`,
      headers: { authorization: `Bearer ${api.tokens.admin}` },
    });
    expect(options.statusCode).to.equal(405);
    expect(options.headers.allow).to.equal('GET, HEAD, POST');
  });

  it('is not every path: what there is not stays 404, and nobody without a token is told', async () => {
    for (const path of ['backup', 'policies/pol_1/runs/run_1/more', 'vms//disks/0/chain']) {
      const answer = await api.call('DELETE', path);
      isProblem(answer, 404, 'not_found');
      expect(answer.headers['allow']).to.equal(undefined);
    }
    isProblem(await api.call('DELETE', 'backups', { as: 'nobody' }), 401, 'unauthorized');
  });
});
