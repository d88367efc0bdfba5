import { createHash } from 'node:crypto';
import { copyFile, readdir, readFile, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { expect } from 'chai';
import type { Backup } from '../../../../src/contract/index.js';
import { BackupJob } from '../../../../src/entities/index.js';
import { compareImages } from '../../../../src/qcow2/index.js';
import { runSyntheticFull } from '../../../../src/services/consolidation/index.js';
import { throwIfAborted } from '../../../../src/shared/abort.js';
import { systemClock } from '../../../../src/shared/clock.js';
import { StrataError } from '../../../../src/shared/errors.js';
import { hold } from '../../../helpers/chainJobs.js';
import { codeOf } from '../../../helpers/codeOf.js';
import { makeDisk, writeAt } from '../../../helpers/disks.js';
import { linearChain, type MergeBench, openMergeBench } from '../../../helpers/mergeBench.js';
import { openApi, type TestApi } from '../../producers/http/support.js';
import { underLease } from '../../../../src/services/job/under.js';

const MIB = 1024 ** 2;

/** What each file of a directory holds, and when it was written. */
async function filesOf(directory: string): Promise<Record<string, string>> {
  const files: Record<string, string> = {};
  for (const name of (await readdir(directory)).toSorted()) {
    const path = join(directory, name);
    const digest = createHash('sha256').update(await readFile(path));
    files[name] = `${digest.digest('hex')} ${(await stat(path)).mtimeMs}`;
  }
  return files;
}

describe('A synthetic full that is cancelled', function () {
  this.timeout(120_000);

  describe('over HTTP, while it moves bytes', () => {
    let api: TestApi;
    before(async () => {
      api = await openApi({ lease: { renewEveryMs: 200 } });
      api.fleet.work();
    });
    after(() => api.close());

    const points: { backup: Backup; saved: string }[] = [];
    const limit = async (max_bytes_per_second: number | null) => {
      const body = { max_bytes_per_second };
      expect((await api.call('PATCH', `repositories/${api.fleet.repositoryId}`, { body })).status).to.equal(
        200,
      );
    };
    const backUp = async (path: string) => {
      const disks = [{ disk_id: 0, source: { type: 'file', path, format: 'raw' } }];
      const body = { vm_name: 'web', repository_id: 'main', backup_type: 'auto', disks };
      const id = String((await api.call('POST', 'backups', { body })).body.disk_results[0].backup_id);
      expect(await api.fleet.ended(id)).to.include({ status: 'completed' });
      const saved = `${path}.${points.length}`;
      await copyFile(path, saved);
      points.push({ backup: (await api.call('GET', `backups/${id}`)).body, saved });
    };
    const begin = async (chainId: string) =>
      String((await api.call('POST', `chains/${chainId}/synthetic-full`)).body.job_id);
    const comparePoints = async (context: string) => {
      for (const { backup, saved } of points) {
        const path = join(api.fleet.repositoryRoot, backup.repository_path ?? '');
        const image = { type: 'file', path, format: 'qcow2' } as const;
        const { identical, message } = await compareImages(image, {
          type: 'file',
          path: saved,
          format: 'raw',
        });
        expect(identical, `${context}: ${backup.id}: ${message}`).to.equal(true);
      }
    };
    /** Cancels the job as soon as it has moved some bytes of a phase. */
    const cancelIn = async (jobId: string, phase: string) => {
      let from: number | undefined;
      for (;;) {
        const { body: job } = await api.call('GET', `jobs/${jobId}`);
        expect(job.completed_at, `it ended before it was ${phase}`).to.equal(null);
        if (job.progress?.phase === phase) from ??= Number(job.progress.bytes_done);
        if (from !== undefined && job.progress.bytes_done > from) break;
        await systemClock.sleep(20);
      }
      expect((await api.call('POST', `jobs/${jobId}/cancel`)).status).to.equal(200);
      expect(await api.fleet.ended(jobId)).to.include({ status: 'cancelled', error_code: 'cancelled' });
    };

    it('has changed nothing and leaves nothing, and the next one and the next backup work', async () => {
      const path = join(api.fleet.sources, 'disk.raw');
      await makeDisk(path, 8 * MIB, [[0, 3 * MIB]]);
      for (let n = 0; n < 3; n++) {
        await writeAt(path, n * MIB, MIB);
        await backUp(path);
      }
      const { chain_id: chainId, repository_path: file } = points[2]?.backup ?? {};
      const directory = dirname(join(api.fleet.repositoryRoot, file ?? ''));
      const state = async () => [
        await filesOf(directory),
        // Each attempt takes a lease of its own.
        { ...(await api.call('GET', `chains/${chainId}`)).body, fence: undefined },
        (await api.call('GET', 'backups')).body,
      ];
      const before = await state();
      for (const phase of ['copying', 'proving']) {
        // Of the 3 MiB of each phase, the one before goes by at once.
        await limit(phase === 'copying' ? MIB : 2 * MIB);
        await cancelIn(await begin(chainId ?? ''), phase);
        expect(await state(), phase).to.deep.equal(before);
        await comparePoints(phase);
      }
      await limit(null);
      const done = await api.fleet.ended(await begin(chainId ?? ''));
      expect(done).to.include({ status: 'completed' });
      await comparePoints('completed');
      const { body: latest } = await api.call('GET', `backups/${points[2]?.backup.id}`);
      expect(latest).to.include({ backup_type: 'full', content_id: points[2]?.backup.content_id });
      await writeAt(path, 5 * MIB, MIB);
      await backUp(path);
      expect(points[3]?.backup).to.include({ backup_type: 'incremental', parent_backup_id: latest.id });
      await comparePoints('gone on');
    });
  });

  describe('while its file is switched', () => {
    let bench: MergeBench;
    before(async () => {
      bench = await openMergeBench(linearChain(2));
    });
    beforeEach(() => bench.reset());
    after(() => bench.close());

    const all = () => [1, 2, 3].map((n) => bench.at(n));
    /** An attempt that is cancelled right before it looks for the n-th time whether it has the chain still. */
    const cancelAtCheck = async (n: number): Promise<{ code: string; phases: string[] }> => {
      const jobId = await bench.addFull();
      const cancelled = new AbortController();
      const held = await hold(bench.ds, 'maintenance', jobId, cancelled.signal);
      let checks = 0;
      const assertHeld = async () => {
        if (++checks === n) cancelled.abort(new StrataError('cancelled', 'Somebody has cancelled it.'));
        throwIfAborted(cancelled.signal);
        await held.assertHeld();
      };
      const phases: string[] = [];
      const deps = { ds: bench.ds, clock: systemClock, scratchDir: bench.suite.tempDir };
      const under = underLease(deps, { ...held, assertHeld }, ({ phase }) => phases.push(phase));
      const code = await codeOf(runSyntheticFull(under));
      await bench.ds.query("UPDATE maintenance_jobs SET status = 'cancelled' WHERE id = ?", [jobId]);
      await bench.ds.query('UPDATE backup_chains SET lease_until = NULL');
      return { code, phases };
    };

    for (const [check, moment] of [
      'before anything has got its name',
      'between the index and the image',
    ].entries()) {
      it(`${moment}, has changed no point, leaves no file, and the next one works`, async () => {
        const rows = () => bench.ds.getRepository(BackupJob).find({ order: { seq: 'ASC' } });
        const [files, before] = [await filesOf(bench.chain.directory), await rows()];
        const { code, phases } = await cancelAtCheck(check + 1);
        expect([code, phases.at(-1)]).to.deep.equal(['cancelled', 'switching']);
        expect(await rows()).to.deep.equal(before);
        const after = await filesOf(bench.chain.directory);
        expect(Object.keys(after)).to.deep.equal(Object.keys(files));
        const changed = Object.keys(after).filter((name) => after[name] !== files[name]);
        // The index tells more than before, and the manifest says what is right as soon as the image is another one.
        const { digests, manifest } = bench.at(3);
        expect(changed.map((name) => join(bench.chain.directory, name))).to.have.members(
          check === 0 ? [] : [digests, manifest],
        );
        await bench.comparePoints(all(), moment);
        await bench.expectRebuildable(all(), moment);
        await bench.attemptFull(await bench.addFull());
        await bench.comparePoints(all(), `${moment}, completed`);
        await bench.expectDone(all(), `${moment}, completed`);
      });
    }
  });
});
