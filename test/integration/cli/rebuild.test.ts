import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { JobAccepted, RebuildReport } from '../../../src/contract/index.js';
import { makeDisk } from '../../helpers/disks.js';
import { fits, openApi, type TestApi } from '../producers/http/support.js';
import { type Ended, runMain } from './system.js';

describe('strata repo rebuild', function () {
  this.timeout(120_000);
  let api: TestApi;
  let dataDir = '';
  let url = '';

  before(async () => {
    api = await openApi();
    url = `${await api.app.listen({ host: '127.0.0.1', port: 0 })}/api/v1`;
    dataDir = await mkdtemp(join(tmpdir(), 'cli-'));
    api.fleet.work();
    const path = join(api.fleet.sources, 'disk.raw');
    await makeDisk(path, 1024 * 1024, [[0, 1000]]);
    const disks = [{ disk_id: 0, source: { type: 'file', path, format: 'raw' } }];
    const { body } = await api.call('POST', 'backups', {
      body: { vm_name: 'web', repository_id: 'main', backup_type: 'full', disks },
    });
    await api.fleet.ended(body.disk_results[0].backup_id);
  });
  after(async () => {
    await api.close();
    await rm(dataDir, { recursive: true, force: true });
  });

  const strata = (...args: string[]): Promise<Ended> =>
    runMain('cli', args, { STRATA_DATA_DIR: dataDir, STRATA_URL: url, STRATA_TOKEN: api.tokens.admin });

  it('waits for the job, says how it goes on standard error, and prints the report', async () => {
    const { code, out, err } = await strata('repo', 'rebuild', 'main');
    expect(code, err).to.equal(0);
    expect(out).to.match(
      /^VM +DISK +TAKEN IN +KNOWN +REFUSED +CHAIN\nweb +0 +0 +1 +0 +chn_\S+\nNo problems\.\n$/,
    );
    expect(err).to.match(/^rebuild of main {2}completed in /m);
  });

  it('prints the report as one JSON document, and says of a dry run that it was one', async () => {
    const { code, out } = await strata('repo', 'rebuild', 'main', '--dry-run', '--json');
    expect(code).to.equal(0);
    const report: unknown = JSON.parse(out);
    fits(RebuildReport, report);
    expect(report).to.include({ dry_run: true, existing: 1 });
    expect((await strata('repo', 'rebuild', 'main', '--dry-run')).out).to.contain('This was a dry run');
  });

  it('names the job and goes with --no-wait; `strata job` draws its report, and the repository instead of a chain', async () => {
    const { out } = await strata('repo', 'rebuild', 'main', '--no-wait', '--json');
    const accepted = JSON.parse(out) as JobAccepted;
    fits(JobAccepted, accepted);
    await api.fleet.ended(accepted.job_id);
    const shown = (await strata('job', accepted.job_id)).out;
    expect(shown).to.match(/^kind +maintenance \(rebuild\)\nrepository +repo_\S+\nstatus +completed$/m);
    expect(shown).to.contain('No problems.');
    expect((await strata('repo', 'rebuild', 'main', '--no-wait')).out).to.match(
      /^Accepted the rebuild of repository main: mnt_\S+\.\n$/,
    );
  });

  it('fails with the code of a job that did not complete', async () => {
    await api.fleet.stopWorking();
    const waiting = strata('repo', 'rebuild', 'main', '--json');
    const { ds } = api.fleet.suite;
    const open = () =>
      ds.query<{ id: string }[]>("SELECT id FROM maintenance_jobs WHERE status = 'released'");
    let jobs = await open();
    while (jobs.length === 0) {
      await new Promise((resolve) => setTimeout(resolve, 50));
      jobs = await open();
    }
    await api.call('POST', `jobs/${jobs[0]?.id}/cancel`, {});
    const { code, out, err } = await waiting;
    expect(code).to.equal(6);
    expect(JSON.parse(out)).to.include({ id: jobs[0]?.id, status: 'cancelled' });
    expect(JSON.parse(err)).to.include({ code: 'cancelled' });
  });
});
