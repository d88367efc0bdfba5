import { copyFile, cp, readdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { BackupJob } from '../../src/entities/index.js';
import { MARKER_NAME } from '../../src/services/repository/marker.js';
import { parseManifest } from '../../src/services/repository/manifest.js';
import { codeOf } from '../helpers/codeOf.js';
import { chainWithSibling, linearChain, type MergeBench, openMergeBench } from '../helpers/mergeBench.js';
import { startVictim } from '../helpers/mergeVictim.js';

/** docs/decisions/0014-consolidation.md answers these; each happened in another system. */
describe('Consolidation', function () {
  this.timeout(120_000);
  let bench: MergeBench;
  afterEach(() => bench.close());

  /** Kills an attempt before the first operation that matches, and returns the job. */
  const killBefore = async (match: RegExp, ...remove: number[]): Promise<string> => {
    const log = join(bench.suite.tempDir, 'operations');
    const numbers = remove.map((n) => bench.at(n));
    const counted = startVictim(bench, 'in_place', { STRATA_TEST_KILL_LOG: log });
    expect((await counted.run(await bench.add(...numbers))).code).to.equal(0);
    const operations = (await readFile(log, 'utf8')).trim().split('\n');
    const at = operations.findIndex((line) => match.test(line)) + 1;
    expect(at, operations.join('\n')).to.be.greaterThan(0);
    await bench.reset();
    const jobId = await bench.add(...numbers);
    const victim = startVictim(bench, 'in_place', { STRATA_TEST_KILL_AT: String(at) });
    expect((await victim.run(jobId)).signal).to.equal('SIGKILL');
    return jobId;
  };

  it('lesson 19: a crash around the rename of the merged file makes no orphan of a parent', async () => {
    bench = await openMergeBench(linearChain(3));
    const kept = [bench.at(3), bench.at(4)];
    const jobId = await killBefore(/rename .*qcow2\.\d+\.partial/, 1, 2);
    await bench.comparePoints(kept, 'before recovery');
    await bench.attempt(jobId, 'in_place');
    await bench.comparePoints(kept, 'after recovery');
    await bench.expectDone(kept, 'after recovery');
  });

  it('lesson 20: a repository that cannot be listed, or is not mounted, costs nothing', async () => {
    bench = await openMergeBench(linearChain(3));
    const before = await readdir(bench.chain.directory);
    const marker = join(bench.chain.root, MARKER_NAME);
    await rename(marker, `${marker}.away`);
    const jobId = await bench.add(bench.at(1), bench.at(4));
    expect(await codeOf(bench.attempt(jobId))).to.equal('repository_unavailable');
    await rename(`${marker}.away`, marker);
    // A file in the place of the disk's directory: there is nothing to list.
    const { directory } = bench.chain;
    await rename(directory, `${directory}.away`);
    await writeFile(directory, '');
    expect(await codeOf(bench.attempt(jobId))).to.contain('EEXIST');
    await rm(directory);
    await rename(`${directory}.away`, directory);
    expect(await readdir(bench.chain.directory)).to.deep.equal(before);
    const rows = await bench.ds.getRepository(BackupJob).find();
    expect(rows.every(({ status }) => status === 'completed')).to.equal(true);
  });

  it('lesson 21: an image that cannot be opened stops the removal and does not feed it', async () => {
    bench = await openMergeBench(linearChain(3));
    // What opening it says (ENOENT, as through a stale handle) is not that nothing stands on anything.
    await symlink('/nowhere', join(bench.chain.directory, 'backup-x-0-1-incr.qcow2'));
    const before = await readdir(bench.chain.directory);
    expect(await codeOf(bench.attempt(await bench.add(bench.at(4))))).to.equal('image_unreadable');
    expect(await readdir(bench.chain.directory)).to.deep.equal(before);
  });

  it('lesson 22: no manifest is ever seen half-written', async () => {
    bench = await openMergeBench(linearChain(2));
    const jobId = await killBefore(/open .*json\.\d+\.partial/, 1);
    for (const name of await readdir(bench.chain.directory)) {
      if (!name.endsWith('.json')) continue;
      parseManifest(await readFile(join(bench.chain.directory, name), 'utf8'), name);
    }
    await bench.attempt(jobId, 'in_place');
    await bench.expectDone([bench.at(2), bench.at(3)], 'after recovery');
  });

  it('lesson 24: a full that a differential stands on is not committed into', async () => {
    bench = await openMergeBench(chainWithSibling(2));
    expect(await codeOf(bench.attempt(await bench.add(bench.at(1))))).to.equal('backup_in_use');
    await bench.reset();
    const { refused } = await bench.attempt(await bench.add(bench.at(1), bench.at(2)), 'in_place');
    expect(refused).to.deep.equal([{ backup_id: bench.at(1).id, reason: 'fan_out' }]);
    const kept = [bench.at(1), bench.at(3), bench.at(4)];
    await bench.comparePoints(kept, 'the full stays');
    await bench.expectDone(kept, 'the full stays');
  });

  it('lesson 25: a failed backup counts for nothing and costs no good one', async () => {
    bench = await openMergeBench(linearChain(3));
    await bench.ds.query(`UPDATE backup_jobs SET status = 'failed' WHERE id = ?`, [bench.at(4).id]);
    await bench.ds.query('UPDATE backup_chains SET latest_backup_id = ?', [bench.at(3).id]);
    // Its file is nobody's now: what it stands on is left alone until somebody has looked at it.
    const { refused } = await bench.attempt(await bench.add(bench.at(2)), 'copy');
    expect(refused).to.deep.equal([]);
    await bench.comparePoints([bench.at(1), bench.at(3)], 'kept');
    expect(await codeOf(bench.attempt(await bench.add(bench.at(3))))).to.equal('backup_in_use');
  });

  it('lesson 26: a protected backup stays, takes in what it stands on, and holds nothing else up', async () => {
    bench = await openMergeBench(linearChain(4));
    const until = 'UTC_TIMESTAMP(3) + INTERVAL 1 DAY';
    await bench.ds.query(`UPDATE backup_jobs SET protected_until = ${until} WHERE id = ?`, [bench.at(3).id]);
    const { refused } = await bench.attempt(
      await bench.add(...[1, 2, 3, 4].map((n) => bench.at(n))),
      'in_place',
    );
    expect(refused).to.deep.equal([{ backup_id: bench.at(3).id, reason: 'protected' }]);
    const kept = [bench.at(3), bench.at(5)];
    await bench.comparePoints(kept, 'protected');
    await bench.expectDone(kept, 'protected');
  });

  it('lesson 27: a file that nobody knows is not cleaned up, and not what it stands on either', async () => {
    bench = await openMergeBench(linearChain(3));
    const { directory } = bench.chain;
    await writeFile(join(directory, 'notes.qcow2'), 'not an image');
    // As after a database that was put back from an old dump: the newest backup is a stranger.
    await cp(bench.at(4).image, join(directory, 'backup-vm-0-1790009999-incr.qcow2'));
    const jobId = await bench.add(bench.at(3), bench.at(4));
    const { steps } = await bench.attempt(jobId);
    expect(steps.map(({ backup_id }) => backup_id)).to.deep.equal([bench.at(4).id]);
    const names = await readdir(directory);
    expect(names).to.include.members(['notes.qcow2', 'backup-vm-0-1790009999-incr.qcow2']);
    await bench.comparePoints(
      [1, 2, 3].map((n) => bench.at(n)),
      'what the stranger stands on',
    );
  });

  it('proves a merge by the bytes: a base that has rotted costs nobody his point', async () => {
    bench = await openMergeBench(linearChain(3));
    const kept = bench.at(4);
    const saved = `${bench.at(1).image}.saved`;
    await copyFile(bench.at(1).image, saved);
    // A block that no increment hides, beyond the metadata of the image.
    const rotten = await readFile(bench.at(1).image);
    rotten.fill(0xee, rotten.length - 70_000, rotten.length - 60_000);
    await writeFile(bench.at(1).image, rotten);
    const jobId = await bench.add(bench.at(1), bench.at(2), bench.at(3));
    expect(await codeOf(bench.attempt(jobId, 'copy'))).to.equal('content_mismatch');
    const row = await bench.ds.getRepository(BackupJob).findOneByOrFail({ id: kept.id });
    expect(row.contentWrongAt).to.not.equal(null);
    await copyFile(saved, bench.at(1).image);
    await rm(saved);
    await bench.comparePoints([kept], 'the file was put back');
  });
});
