import { expect } from 'chai';
import { createClient, eachItem, type Job, type JobEvent, StrataError } from '../../../src/client/index.js';
import { renderError } from '../../../src/cli/errorReport.js';
import { type FakeApi, fakeApi, sendJson } from './fakeApi.js';

async function errorOf(work: Promise<unknown>): Promise<StrataError> {
  const outcome = await work.catch((error: unknown) => error);
  expect(outcome).to.be.instanceOf(StrataError);
  return outcome as StrataError;
}

describe('client', () => {
  let api: FakeApi | undefined;
  const serve = async (...args: Parameters<typeof fakeApi>) => {
    api = await fakeApi(...args);
    return createClient({ baseUrl: api.baseUrl, token: 'secret' });
  };

  afterEach(async () => {
    await api?.close();
    api = undefined;
  });

  it('sends the token, encodes paths and leaves undefined query values out', async () => {
    const client = await serve((_request, response) =>
      sendJson(response, 200, { items: [], next_cursor: null }),
    );
    await client.backups.list({ vm_name: 'a b&c', disk_id: 0 });
    await client.vms.get('../x');
    expect(api?.seen.map(({ url }) => url)).to.deep.equal([
      '/api/v1/backups?vm_name=a+b%26c&disk_id=0',
      '/api/v1/vms/..%2Fx',
    ]);
    expect(api?.seen[0]?.headers.authorization).to.equal('Bearer secret');
  });

  it('makes an error of problem details, with its code and fields', async () => {
    const errors = [{ field: 'disks[0].disk_id', message: 'must be >= 0' }];
    const client = await serve((_request, response) =>
      sendJson(response, 409, { code: 'name_taken', title: 'T', detail: 'There is one.', errors }),
    );
    const error = await errorOf(client.repositories.create({ name: 'r', type: 'local', root_path: '/r' }));
    expect([error.code, error.message, error.fields]).to.deep.equal(['name_taken', 'There is one.', errors]);
  });

  it('calls an unknown code and a page of a proxy internal, and keeps what they said', async () => {
    const client = await serve((_request, response, count) => {
      if (count === 1) sendJson(response, 418, { code: 'teapot', detail: 'Short and stout.' });
      else response.writeHead(502, { 'content-type': 'text/html' }).end('<h1>Bad gateway</h1>');
    });
    const unknown = await errorOf(client.backups.get('bkp_1'));
    expect([unknown.code, unknown.message]).to.deep.equal(['internal', 'Short and stout.']);
    expect(unknown.details).to.include({ status: 418, unknown_code: 'teapot' });
    const proxy = await errorOf(client.backups.get('bkp_1'));
    expect([proxy.code, proxy.details['status']]).to.deep.equal(['internal', 502]);
  });

  it('repeats a POST whose connection broke, with the same Idempotency-Key', async () => {
    const client = await serve((_request, response, count) => {
      if (count < 3) response.socket?.destroy();
      else sendJson(response, 202, { restore_id: 'rst_1', status: 'released' });
    });
    const body = {
      backup_id: 'bkp_1',
      target: { type: 'file' as const, path: '/x' },
      format: 'raw' as const,
    };
    expect(await client.restores.create(body)).to.deep.equal({ restore_id: 'rst_1', status: 'released' });
    const keys = api?.seen.map(({ headers }) => headers['idempotency-key']);
    expect(keys).to.have.length(3);
    expect(new Set(keys).size).to.equal(1);
    await client.restores.create(body);
    expect(api?.seen.at(-1)?.headers['idempotency-key']).to.not.equal(keys?.[0]);
  });

  it('does not repeat the creation of a token, whose answer would be lost', async () => {
    const client = await serve((_request, response) => response.socket?.destroy());
    const error = await errorOf(client.tokens.create({ name: 't', role: 'viewer' }));
    expect(error.code).to.equal('api_unreachable');
    expect(api?.seen).to.have.length(1);
  });

  it('says that nobody answers, and that an answer is not of this API', async () => {
    const client = await serve((_request, response) => response.end('hello'));
    expect((await errorOf(client.healthz())).code).to.equal('internal');
    await api?.close();
    api = undefined;
    const error = await errorOf(client.healthz());
    expect([error.code, error.exitCode]).to.deep.equal(['api_unreachable', 7]);
  });

  it('follows no redirect with the token', async () => {
    const client = await serve((_request, response) => response.writeHead(302, { location: '/else' }).end());
    expect((await errorOf(client.tokens.create({ name: 't', role: 'viewer' }))).code).to.equal(
      'api_unreachable',
    );
    expect(api?.seen).to.have.length(1);
  });

  it('gives up at its deadline and at the caller’s signal', async () => {
    await serve(() => undefined);
    const client = createClient({ baseUrl: api?.baseUrl ?? '', timeoutMs: 100 });
    const late = await errorOf(client.readyz());
    expect([late.code, late.message]).to.deep.equal([
      'deadline_exceeded',
      `The API at ${api?.baseUrl} did not answer GET /readyz within 0.1 s.`,
    ]);
    const unknown = await errorOf(client.backups.remove('bkp_1'));
    expect(unknown.message).to.match(
      /DELETE .* Whether it was done is not known: look before you ask again\.$/,
    );
    expect(renderError(unknown)).to.match(/\nhint: Look with: strata status, /);
    const patient = createClient({ baseUrl: api?.baseUrl ?? '' });
    const signal = AbortSignal.timeout(50);
    const outcome: unknown = await patient.readyz({ signal }).catch((error: unknown) => error);
    expect(outcome).to.be.instanceOf(Error).with.property('name', 'TimeoutError');
  });

  it('reads a list page by page, up to a limit', async () => {
    const client = await serve(({ url }, response) => {
      const next = new URL(url, 'http://x').searchParams.get('cursor') === null ? 'c' : null;
      sendJson(response, 200, { items: [{ id: next ?? 'last' }], next_cursor: next });
    });
    const ids: string[] = [];
    for await (const { id } of eachItem((page) => client.repositories.list(page))) ids.push(id);
    expect(ids).to.deep.equal(['c', 'last']);
    expect(api?.seen).to.have.length(2);
  });

  it('waits for a job through an API that goes away and comes back', async () => {
    const statuses = ['queued', undefined, 'running', 'completed'];
    const client = await serve((_request, response, count) => {
      const status = statuses[count - 1];
      if (status === undefined) sendJson(response, 503, { code: 'database_unavailable', detail: 'Away.' });
      else sendJson(response, 200, { id: 'bkp_1', status });
    });
    const seen: string[] = [];
    const job = await client.waitForJob('bkp_1', { onProgress: ({ status }: Job) => seen.push(status) });
    expect(job.status).to.equal('completed');
    expect(seen).to.deep.equal(['queued', 'running', 'completed']);
  });

  it('stops waiting for a job when the signal aborts, and when there is no such job', async () => {
    const client = await serve((_request, response, count) => {
      if (count < 3) sendJson(response, 200, { id: 'bkp_1', status: 'running' });
      else sendJson(response, 404, { code: 'not_found', detail: 'No.' });
    });
    const stop = new AbortController();
    const reason = new StrataError('cancelled', 'Stop.');
    const waiting = client.waitForJob('bkp_1', { signal: stop.signal, onProgress: () => stop.abort(reason) });
    expect(await errorOf(waiting)).to.equal(reason);
    expect((await errorOf(client.waitForJob('bkp_1'))).code).to.equal('not_found');
  });

  it('goes on waiting for a job while the API stands still, and then says that it does not answer', async () => {
    await serve((_request, response, count) => {
      if (count === 2) sendJson(response, 200, { id: 'bkp_1', status: 'completed' });
    });
    const client = createClient({ baseUrl: api?.baseUrl ?? '', timeoutMs: 100 });
    expect((await client.waitForJob('bkp_1')).status).to.equal('completed');
    const error = await errorOf(client.waitForJob('bkp_1', { patienceMs: 150 }));
    expect([error.code, error.exitCode]).to.deep.equal(['api_unreachable', 7]);
  });

  it('reads events across broken connections, and closes the connection when the loop is left', async () => {
    const event = (id: string) => `: hello\nevent: job\ndata: {"id":"${id}",\ndata: "status":"running"}\n\n`;
    const client = await serve((_request, response, count) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write('event: other\ndata: {}\n\n');
      response.write(event(`bkp_${count}`));
      if (count === 1) response.write('event: job\ndata: {"half', () => response.socket?.destroy());
    });
    const seen: JobEvent[] = [];
    for await (const one of client.jobs.events({ job_id: 'bkp_1' })) {
      seen.push(one);
      if (seen.length === 2) break;
    }
    expect(seen.map(({ id }) => id)).to.deep.equal(['bkp_1', 'bkp_2']);
    expect(api?.seen[0]?.url).to.equal('/api/v1/events?job_id=bkp_1');
  });
});
