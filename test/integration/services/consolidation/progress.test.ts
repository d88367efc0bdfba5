import { join } from 'node:path';
import { expect } from 'chai';
import type { JobProgress } from '../../../../src/entities/index.js';
import type { ReportProgress } from '../../../../src/services/deps.js';
import { makeDisk, writeAt } from '../../../helpers/disks.js';
import { linearChain, type MergeBench, openMergeBench } from '../../../helpers/mergeBench.js';
import { codeOf } from '../../../helpers/codeOf.js';
import { runMain } from '../../cli/system.js';
import { openApi } from '../../producers/http/support.js';

const MIB = 1024 ** 2;

type Report = Parameters<ReportProgress>[0];

/** Never fewer bytes than before, never more than all, and all from the first phase on that knows how many they are. */
function expectToGrow(reports: readonly Pick<Report, 'bytes_done' | 'bytes_total'>[]): void {
  const known = reports.filter(({ bytes_total }) => bytes_total !== null);
  expect(new Set(known.map(({ bytes_total }) => bytes_total)).size).to.equal(1);
  for (const [n, { bytes_done, bytes_total }] of known.entries()) {
    expect(bytes_done).to.be.within(known[n - 1]?.bytes_done ?? 0, bytes_total ?? 0);
  }
}

/** Phases in their order, each once for as long as it lasts. */
function phasesOf(reports: readonly Pick<Report, 'phase'>[]): string[] {
  return reports.map(({ phase }) => phase).filter((phase, n, all) => phase !== all[n - 1]);
}

const OF_A_MERGE = ['merging', 'proving', 'switching', 'removing'];

describe('The progress of a consolidation', function () {
  this.timeout(120_000);
  let bench: MergeBench;
  before(async () => {
    bench = await openMergeBench(linearChain(5));
  });
  beforeEach(() => bench.reset());
  after(() => bench.close());

  /** Three merges, one of them into the base, and a tip. */
  const removed = () => [1, 3, 6].map((n) => bench.at(n));
  const kept = () => [2, 4, 5].map((n) => bench.at(n));

  it('is that of the whole job over all of its merges, in phases', async () => {
    const reports: Report[] = [];
    await bench.attempt(await bench.add(...removed()), 'copy', { report: (one) => reports.push(one) });
    expect(phasesOf(reports)).to.deep.equal([
      'planning',
      'checking',
      'removing',
      ...OF_A_MERGE,
      ...OF_A_MERGE,
    ]);
    expectToGrow(reports);
    const last = reports.at(-1);
    expect(last?.bytes_done).to.equal(last?.bytes_total);
    // Each phase that moves bytes has its part.
    for (const phase of ['merging', 'proving'])
      expect(
        new Set(reports.filter((one) => one.phase === phase).map((one) => one.bytes_done)).size,
      ).to.be.above(2);
  });

  it('of a synthetic full is, too', async () => {
    const reports: Report[] = [];
    await bench.attemptFull(await bench.addFull(), { report: (one) => reports.push(one) });
    expect(phasesOf(reports)).to.deep.equal(['copying', 'proving', 'switching']);
    expectToGrow(reports);
    expect(reports.at(-1)?.bytes_done).to.equal(reports.at(-1)?.bytes_total);
  });

  for (const phase of ['planning', 'checking', 'removing', 'merging', 'proving', 'switching']) {
    const movesBytes = phase === 'merging' || phase === 'proving';
    for (const strategy of movesBytes ? (['copy', 'in_place'] as const) : (['in_place'] as const)) {
      it(`may be ended in the middle of ${phase} (${strategy}): every point is right, and the next attempt ends it`, async () => {
        const jobId = await bench.add(...removed());
        const cancelled = new AbortController();
        let seen = 0;
        const report: ReportProgress = (one) => {
          if (one.phase === phase) seen++;
          // The first is that of its beginning; where it moves nothing there is no other.
          if (seen === (movesBytes ? 2 : 1)) cancelled.abort();
        };
        expect(await codeOf(bench.attempt(jobId, strategy, { report, signal: cancelled.signal }))).to.equal(
          'cancelled',
        );
        await bench.comparePoints(kept(), phase);
        await bench.expectRebuildable(kept(), phase);
        await bench.attempt(jobId, strategy);
        await bench.comparePoints(kept(), phase);
        await bench.expectDone(kept(), phase);
      });
    }
  }

  it('is seen over HTTP and by `strata job --follow`, with a rate and never more than 100 %', async () => {
    const api = await openApi();
    try {
      const path = join(api.fleet.sources, 'disk.raw');
      await makeDisk(path, 8 * MIB, [[0, 3 * MIB]]);
      api.fleet.work();
      const ids: string[] = [];
      for (let n = 0; n < 4; n++) {
        await writeAt(path, n * MIB, MIB);
        const source = { type: 'file', path, format: 'raw' };
        const { body } = await api.call('POST', 'backups', {
          body: {
            vm_name: 'web',
            repository_id: 'main',
            backup_type: 'auto',
            disks: [{ disk_id: 0, source }],
          },
        });
        ids.push(String(body.disk_results[0].backup_id));
        expect(await api.fleet.ended(ids[n] ?? '')).to.include({ status: 'completed' });
      }
      await api.call('PATCH', `repositories/${api.fleet.repositoryId}`, {
        body: { max_bytes_per_second: 4 * MIB },
      });
      const { body: backup } = await api.call('GET', `backups/${ids[0]}`);
      const { body: removal } = await api.call('POST', `chains/${backup.chain_id}/consolidate`, {
        body: { keep: [ids[1], ids[3]] },
      });
      const jobId = String(removal.chains[0].job.job_id);
      const env = {
        STRATA_URL: await api.app.listen({ port: 0, host: '127.0.0.1' }),
        STRATA_TOKEN: api.tokens.admin,
      };
      const following = runMain('cli', ['job', jobId, '--follow'], env);
      const seen: JobProgress[] = [];
      for (;;) {
        const { body: job } = await api.call('GET', `jobs/${jobId}`);
        if (job.progress && job.progress.bytes_total !== null) seen.push(job.progress);
        if (job.completed_at) break;
        await new Promise((resolve) => setTimeout(resolve, 30));
      }
      expectToGrow(seen);
      expect(phasesOf(seen)).to.include.members(['merging', 'proving']);
      expect(seen.some(({ rate }) => rate !== null && rate > 0)).to.equal(true);
      const { code, err } = await following;
      expect(code, err).to.equal(0);
      const shares = [...err.matchAll(/(merging|proving) +(\d+\.\d) %/g)].map(([, , share]) => Number(share));
      expect(shares, err).to.not.deep.equal([]);
      expect(shares, err).to.deep.equal(shares.toSorted((a, b) => a - b));
      expect(Math.max(...shares)).to.be.at.most(100);
    } finally {
      await api.close();
    }
  });
});
