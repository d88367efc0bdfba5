import { expect } from 'chai';
import { connect } from 'node:net';
import type { AddressInfo } from 'node:net';
import { JobEvent } from '../../../../src/contract/index.js';
import { readEvents } from '../../../../src/client/eventStream.js';
import { commitBackup } from '../../../../src/db/job/commitBackup.js';
import { writeProgress } from '../../../../src/db/job/journal.js';
import { acquireLease } from '../../../../src/db/job/acquire.js';
import { addVm, publishedFull } from '../../../helpers/rows.js';
import { BASE, fits, openApi, type TestApi } from './support.js';

describe('The API over a socket', () => {
  let api: TestApi;
  let origin: string;
  let port: number;
  before(async () => {
    api = await openApi();
    await api.app.listen({ host: '127.0.0.1', port: 0 });
    port = (api.app.server.address() as AddressInfo).port;
    origin = `http://127.0.0.1:${port}`;
  });
  after(() => api.close());

  const headers = () => ({ authorization: `Bearer ${api.tokens.viewer}` });
  /** Follows the events until `done`; fails after ten seconds. */
  const follow = async (query: string, done: (event: JobEvent) => boolean, begun?: () => Promise<void>) => {
    const response = await fetch(`${origin}${BASE}/events${query}`, {
      headers: headers(),
      signal: AbortSignal.timeout(10_000),
    });
    expect(response.status).to.equal(200);
    expect(response.headers.get('content-type')).to.match(/^text\/event-stream/);
    await begun?.();
    if (!response.body) throw new Error('The answer has no body.');
    const seen: JobEvent[] = [];
    for await (const { event, data } of readEvents(response.body)) {
      expect(event).to.equal('job');
      fits(JobEvent, JSON.parse(data));
      seen.push(JSON.parse(data));
      if (done(JSON.parse(data))) break;
    }
    return seen;
  };
  const lease = async (jobId: string) => {
    const acquired = await acquireLease(api.fleet.suite.ds, {
      kind: 'backup',
      jobId,
      delivery: 1,
      owner: 't',
      leaseMs: 60_000,
    });
    if (acquired.outcome !== 'acquired') throw new Error(acquired.outcome);
    return acquired.lease;
  };
  /** Released, running with progress, completed: as a worker does it. */
  const run = async (jobId: string, pauseMs: number) => {
    const { ds } = api.fleet.suite;
    const pause = () => new Promise((resolve) => setTimeout(resolve, pauseMs));
    const held = await lease(jobId);
    await writeProgress(ds, held, { phase: 'copy', bytes_done: 1, bytes_total: 2, rate: 1, eta_seconds: 1 });
    await pause();
    await commitBackup(ds, held, publishedFull(`${jobId}.qcow2`));
  };

  it('sends the open jobs first, then every change of state and progress', async () => {
    const vm = await addVm(api.fleet.suite.ds, 'followed');
    const id = await vm.insertBackup({ type: null, status: 'released', parent: null });
    let working: Promise<void> | undefined;
    const seen = await follow('', (event) => {
      if (event.id === id && event.status === 'released') working = run(id, 1200);
      return event.id === id && event.status === 'completed';
    });
    await working;
    const own = seen.filter((event) => event.id === id);
    expect(own.map(({ status }) => status)).to.deep.equal(['released', 'running', 'completed']);
    expect(own[1]?.progress).to.deep.equal({
      phase: 'copy',
      bytes_done: 1,
      bytes_total: 2,
      rate: 1,
      eta_seconds: 1,
    });
  });

  it('misses no job, however short it runs and however long it had waited', async () => {
    const vm = await addVm(api.fleet.suite.ds, 'short');
    const { ds } = api.fleet.suite;
    const ids = [await vm.insertBackup({ type: null, status: 'released', parent: null })];
    for (let n = 0; n < 5; n++)
      ids.push(await vm.insertBackup({ type: null, status: 'queued', parent: null }));
    // Accepted long ago: not seen as new, only as what has passed the head of its chain.
    await ds.query('UPDATE backup_jobs SET created_at = created_at - INTERVAL 1 HOUR WHERE chain_id = ?', [
      vm.ids.chainId,
    ]);
    const ended = new Set<string>();
    let working: Promise<void> | undefined;
    await follow('', (event) => {
      if (event.id === ids[0] && event.status === 'released') {
        working = (async () => {
          for (const id of ids) await run(id, 0);
        })();
      }
      if (ids.includes(event.id) && event.status === 'completed') ended.add(event.id);
      return ended.size === ids.length;
    });
    await working;
    expect([...ended].sort()).to.deep.equal([...ids].sort());
  });

  it('sends one job alone, beginning with its present state, even when it has ended', async () => {
    const vm = await addVm(api.fleet.suite.ds, 'one');
    const id = await vm.insertBackup({ type: null, status: 'failed', parent: null });
    const other = await addVm(api.fleet.suite.ds, 'other');
    await other.insertBackup({ type: null, status: 'released', parent: null });
    const seen = await follow(`?job_id=${id}`, () => true);
    expect(seen.map((event) => [event.id, event.status])).to.deep.equal([[id, 'failed']]);
  });

  it('asks the database only while somebody listens', async () => {
    const queries = async () => {
      const [row] = await api.fleet.suite.ds.query<{ Value: string }[]>(
        `SHOW GLOBAL STATUS LIKE 'Com_select'`,
      );
      return Number(row?.Value);
    };
    const pause = () => new Promise((resolve) => setTimeout(resolve, 1500));
    await pause();
    const before = await queries();
    await pause();
    expect((await queries()) - before).to.equal(0);
  });

  it('answers what is not HTTP with a problem, and goes on', async () => {
    const answer = await new Promise<string>((resolve, reject) => {
      const socket = connect(port, '127.0.0.1', () => socket.write('GARBAGE\r\n\r\n'));
      let text = '';
      socket.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
      socket.once('end', () => resolve(text)).once('error', reject);
    });
    expect(answer).to.match(/^HTTP\/1\.1 400 Bad Request\r\ncontent-type: application\/problem\+json/);
    expect(answer).to.contain('"code":"invalid_request"');
    expect((await fetch(`${origin}/healthz`)).status).to.equal(200);
  });

  it('ends the streams when it closes', async () => {
    const response = await fetch(`${origin}${BASE}/events`, { headers: headers() });
    const text = response.text();
    await api.app.close();
    expect(await text).to.be.a('string');
  });
});
