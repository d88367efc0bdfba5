import { link, mkdir, readdir, readFile, rename, rm, utimes, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { expect } from 'chai';
import { BackupChain, BackupJob } from '../../../../src/entities/index.js';
import { runReconcile, scanRepository, scanVms } from '../../../../src/services/reconcile/index.js';
import { MARKER_NAME } from '../../../../src/services/repository/marker.js';
import { systemClock } from '../../../../src/shared/clock.js';
import { buildChain, type ChainFixture } from '../../../helpers/chainFixture.js';
import { hold } from '../../../helpers/chainJobs.js';
import { codeOf } from '../../../helpers/codeOf.js';
import { type DatabaseSuite, openDatabaseSuite } from '../../../helpers/openSuite.js';
import { addReconcile, journalPublish, plan, quarantined, reconcile, signal, writeOld } from './support.js';
import { underLease } from '../../../../src/services/job/under.js';

describe('A reconciliation', () => {
  let suite: DatabaseSuite;
  before(async () => {
    suite = await openDatabaseSuite();
  });
  after(() => suite.close());

  const build = () => buildChain(suite.ds, suite.tempDir);
  const healths = async (chain: ChainFixture) => {
    const rows = await suite.ds
      .getRepository(BackupJob)
      .find({ where: { chainId: chain.chainId }, order: { seq: 'ASC' } });
    const { health } = await suite.ds.getRepository(BackupChain).findOneByOrFail({ id: chain.chainId });
    return [...rows.map((row) => row.health), health].join(' ');
  };
  const backup = (chain: ChainFixture, number: number) => {
    const found = chain.backups[number - 1];
    if (!found) throw new Error(`no backup ${number}`);
    return found;
  };

  it('changes nothing where catalogue and files agree', async () => {
    const chain = await build();
    expect(await plan(suite.ds, chain)).to.deep.equal([]);
    expect(await reconcile(suite.ds, chain)).to.deep.equal({ did: [], quarantined: [] });
    expect(await healths(chain)).to.equal('ok ok ok ok ok');
  });

  it('sets an unknown file aside with the reason beside it, deletes nothing, and has nothing left to do', async () => {
    const chain = await build();
    await writeOld(join(chain.directory, 'stranger.qcow2'), 'precious');
    expect(await plan(suite.ds, chain)).to.deep.equal(['quarantine unknown_file stranger.qcow2']);
    const { quarantined: moved } = await reconcile(suite.ds, chain);
    const date = new Date().toISOString().slice(0, 10);
    const path = join('.quarantine', date, chain.directory.slice(chain.root.length + 1), 'stranger.qcow2');
    expect(moved).to.deep.equal([path]);
    expect(await readFile(join(chain.root, path), 'utf8')).to.equal('precious');
    const note = JSON.parse(await readFile(join(chain.root, `${path}.reason.json`), 'utf8'));
    expect(note).to.include({ reason: 'unknown_file', chain_id: chain.chainId });
    expect(await readdir(chain.directory)).to.have.length(12);
    const before = await quarantined(chain);
    expect(await plan(suite.ds, chain)).to.deep.equal([]);
    expect(await reconcile(suite.ds, chain)).to.deep.equal({ did: [], quarantined: [] });
    expect(await quarantined(chain)).to.deep.equal(before);
  });

  it('replaces nothing in quarantine: a second file of the same name gets a number', async () => {
    const chain = await build();
    for (const content of ['one', 'two']) {
      await writeOld(join(chain.directory, 'stray'), content);
      await reconcile(suite.ds, chain);
    }
    const files = (await quarantined(chain)).filter((name) => !name.endsWith('.json'));
    expect(files.map((name) => basename(name))).to.deep.equal(['stray', 'stray.1']);
    expect(await Promise.all(files.map((name) => readFile(join(chain.root, name), 'utf8')))).to.deep.equal([
      'one',
      'two',
    ]);
  });

  it('finishes a move that was killed between the two names', async () => {
    const chain = await build();
    const from = join(chain.directory, 'stray');
    await writeOld(from);
    const date = new Date().toISOString().slice(0, 10);
    const there = join(chain.root, '.quarantine', date, chain.directory.slice(chain.root.length + 1));
    await mkdir(there, { recursive: true });
    await writeFile(join(there, 'stray.reason.json'), '{"half');
    await link(from, join(there, 'stray'));
    await reconcile(suite.ds, chain);
    expect((await readdir(there)).sort()).to.deep.equal(['stray', 'stray.reason.json']);
    expect(JSON.parse(await readFile(join(there, 'stray.reason.json'), 'utf8'))).to.include({
      reason: 'unknown_file',
    });
    expect(await readdir(chain.directory)).not.to.include('stray');
  });

  it('leaves an unknown file alone within the grace period', async () => {
    const chain = await build();
    await writeFile(join(chain.directory, 'young.qcow2'), 'x');
    expect(await plan(suite.ds, chain)).to.deep.equal(['leave young young.qcow2']);
    expect((await reconcile(suite.ds, chain)).quarantined).to.deep.equal([]);
  });

  it('marks a backup whose image is gone and what stands on it, and keeps every row and file', async () => {
    const chain = await build();
    await rm(backup(chain, 2).image);
    const names = await readdir(chain.directory);
    expect((await reconcile(suite.ds, chain)).did).to.deep.equal([
      `mark_damaged image_missing ${basename(backup(chain, 2).image)}`,
      `mark_suspect stands_on_missing ${basename(backup(chain, 3).image)}`,
      `mark_suspect stands_on_missing ${basename(backup(chain, 4).image)}`,
    ]);
    expect(await healths(chain)).to.equal('ok damaged suspect suspect damaged');
    expect(await readdir(chain.directory)).to.deep.equal(names);
    expect(await plan(suite.ds, chain)).to.deep.equal([]);
  });

  it('does not call damaged what went away with its directory', async () => {
    const chain = await build();
    await rename(chain.directory, join(suite.tempDir, 'moved'));
    await reconcile(suite.ds, chain);
    expect(await healths(chain)).to.equal('suspect suspect suspect suspect suspect');
    expect(await plan(suite.ds, chain)).to.deep.equal([]);
  });

  it('stops at a repository that is unmounted in the middle, and marks nothing', async () => {
    const chain = await build();
    const scan = scanVms(chain.root, chain.repositoryId, { signal });
    expect((await scan.next()).done).to.equal(false);
    await rename(chain.root, `${chain.root}.away`);
    await mkdir(chain.root);
    expect(await codeOf(scan.next())).to.equal('repository_unavailable');
    expect(await codeOf(plan(suite.ds, chain))).to.equal('repository_unavailable');
    expect(await codeOf(reconcile(suite.ds, chain))).to.equal('repository_unavailable');
    expect(await healths(chain)).to.equal('ok ok ok ok ok');
    expect(await readdir(chain.root)).to.deep.equal([]);
  });

  it('stops where the marker is gone though all files are there', async () => {
    const chain = await build();
    const scan = scanVms(chain.root, chain.repositoryId, { signal });
    await scan.next();
    await rename(join(chain.root, MARKER_NAME), join(chain.root, 'marker'));
    expect(await codeOf(scan.next())).to.equal('repository_unavailable');
    expect(await codeOf(scanRepository(chain.root, chain.repositoryId, { signal }))).to.equal(
      'repository_unavailable',
    );
  });

  it('stops at a directory that cannot be listed, and marks nothing', async () => {
    const chain = await build();
    await rename(chain.directory, `${chain.directory}.away`);
    await writeFile(chain.directory, 'a file in its place');
    expect(await codeOf(plan(suite.ds, chain))).to.equal('repository_unavailable');
    expect(await codeOf(reconcile(suite.ds, chain))).to.equal('repository_unavailable');
    expect(await healths(chain)).to.equal('ok ok ok ok ok');
  });

  it("sets a dead attempt's partial file aside and keeps that of a live one", async () => {
    const chain = await build();
    const jobId = await addReconcile(suite.ds, chain);
    const { lease } = await hold(suite.ds, 'maintenance', jobId);
    const partial = (fence: number) => `.backup.qcow2.${fence}.partial`;
    for (const fence of [lease.fence - 1, lease.fence]) await writeOld(join(chain.directory, partial(fence)));
    expect(await plan(suite.ds, chain)).to.deep.equal([
      `leave chain_busy ${partial(lease.fence - 1)}`,
      `leave live_partial ${partial(lease.fence)}`,
    ]);
    // Its holder freezes: the lease runs out, but was not given back.
    await suite.ds.query('UPDATE backup_chains SET lease_until = NULL WHERE id = ?', [chain.chainId]);
    expect(await plan(suite.ds, chain)).to.deep.equal([
      `quarantine dead_partial ${partial(lease.fence - 1)}`,
      `leave live_partial ${partial(lease.fence)}`,
    ]);
    await suite.ds.query("UPDATE maintenance_jobs SET status = 'failed' WHERE id = ?", [jobId]);
    const next = await reconcile(suite.ds, chain);
    expect(next.did.map((each) => each.split(' ')[1])).to.deep.equal(['dead_partial', 'dead_partial']);
    expect((await readdir(chain.directory)).filter((name) => name.endsWith('.partial'))).to.deep.equal([]);
  });

  it('leaves the files of an open job, and sets those of a failed one aside', async () => {
    const chain = await build();
    const last = backup(chain, 4);
    await suite.ds.query('UPDATE backup_chains SET latest_backup_id = ? WHERE id = ?', [
      backup(chain, 3).id,
      chain.chainId,
    ]);
    const turn = (status: string) =>
      suite.ds.query('UPDATE backup_jobs SET status = ? WHERE id = ?', [status, last.id]);
    for (const path of [last.image, last.digests, last.manifest]) await utimes(path, 1, 1);
    await turn('released');
    expect((await plan(suite.ds, chain)).map((each) => each.split(' ')[0])).to.deep.equal([
      'finish',
      'finish',
      'finish',
    ]);
    await turn('failed');
    // Without its journal the catalogue may only be older than the file, and the image restores.
    for (const each of await plan(suite.ds, chain)) expect(each).to.match(/^leave restorable /);
    await journalPublish(suite.ds, last);
    expect((await reconcile(suite.ds, chain)).quarantined).to.have.length(3);
    expect(await readdir(chain.directory)).to.have.length(9);
  });

  it('reports a whole backup that the catalogue does not know, and leaves it where it is', async () => {
    const chain = await build();
    const last = backup(chain, 4);
    await suite.ds.query('UPDATE backup_chains SET latest_backup_id = ? WHERE id = ?', [
      backup(chain, 3).id,
      chain.chainId,
    ]);
    await suite.ds.query('DELETE FROM backup_jobs WHERE id = ?', [last.id]);
    for (const path of [last.image, last.digests, last.manifest]) await utimes(path, 1, 1);
    expect((await plan(suite.ds, chain)).map((each) => each.split(' ')[0])).to.deep.equal([
      'adopt',
      'adopt',
      'adopt',
    ]);
    expect((await reconcile(suite.ds, chain)).quarantined).to.deep.equal([]);
    expect(await readdir(chain.directory)).to.have.length(12);
  });

  it('moves nothing once the lease is lost', async () => {
    const chain = await build();
    await writeOld(join(chain.directory, 'stray'));
    const jobId = await addReconcile(suite.ds, chain);
    const held = await hold(suite.ds, 'maintenance', jobId);
    await suite.ds.query('UPDATE backup_chains SET fence = fence + 1 WHERE id = ?', [chain.chainId]);
    const deps = { ds: suite.ds, clock: systemClock, scratchDir: suite.tempDir };
    const work = runReconcile(underLease(deps, held, () => undefined));
    expect(await codeOf(work)).to.equal('lease_lost');
    expect(await readdir(chain.directory)).to.include('stray');
  });

  it('plans a directory of 20,000 unknown files', async function () {
    this.timeout(120_000);
    const chain = await build();
    const first = join(chain.directory, 'f0');
    await writeOld(first);
    // Names of one file: quick to make, and as many to look at.
    const linked = join(chain.directory, '..', 'disk-1');
    await mkdir(linked);
    for (let from = 0; from < 20_000; from += 100) {
      await Promise.all(Array.from({ length: 100 }, (_, i) => link(first, join(linked, `f${from + i}`))));
    }
    const found = await plan(suite.ds, chain);
    expect(found).to.have.length(20_001);
    expect(found.filter((each) => each.startsWith('leave no_chain'))).to.have.length(20_000);
  });
});
