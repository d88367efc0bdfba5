import type { BackupDiskCreate } from '../../../../src/contract/index.js';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { readSteps } from '../../../../src/db/job/journal.js';
import { BackupChain, BackupJob, type RequestedType, RestorePoint } from '../../../../src/entities/index.js';
import { acceptBackup, acceptRestore } from '../../../../src/producers/accept/index.js';
import { compareImages } from '../../../../src/qcow2/index.js';
import { rebuildCatalogue } from '../../../../src/services/rebuild/rebuildCatalogue.js';
import { makeDisk, writeAt } from '../../../helpers/disks.js';
import { openFleet, type TestFleet } from '../../../helpers/fleet.js';
import { startNbdkit } from '../../../helpers/nbdServers.js';

const BLOCK = 65536;
const SIZE = 64 * BLOCK;
/** Every block that is called unchanged is looked at. */
const ALL = { blocks: 10_000, ppm: 1_000_000, distrustBackups: 2 };

describe('The audit of a tracker', () => {
  let fleet: TestFleet;
  let disk: string;
  before(async () => {
    fleet = await openFleet({ audit: ALL });
    fleet.work();
    disk = join(fleet.sources, 'disk.raw');
  });
  beforeEach(() => makeDisk(disk, SIZE, [[0, SIZE / 2]]));
  after(() => fleet.close());

  /** Backs the disk up; the source is named, so that a test may have another one. */
  const backUp = async (vm_name: string, type: RequestedType, facts: Partial<BackupDiskCreate> = {}) => {
    const answer = await acceptBackup(fleet.accept, {
      vm_name,
      repository_id: 'main',
      backup_type: type,
      disks: [{ disk_id: 0, source: { type: 'file', path: disk, format: 'raw' }, ...facts }],
    });
    const id = answer.disk_results[0]?.backup_id ?? '';
    const end = await fleet.ended(id);
    expect(end.status, end.error_detail ?? '').to.equal('completed');
    return row(id);
  };
  const row = (id: string) => fleet.suite.ds.getRepository(BackupJob).findOneByOrFail({ id });
  const point = ({ restorePointId }: BackupJob) =>
    fleet.suite.ds.getRepository(RestorePoint).findOneByOrFail({ id: restorePointId });
  const distrust = async ({ chainId }: BackupJob) =>
    (await fleet.suite.ds.getRepository(BackupChain).findOneByOrFail({ id: chainId })).trackerDistrust;
  const expectSame = async (backup: BackupJob) => {
    const path = join(fleet.restores, `${backup.id}.raw`);
    const target = { type: 'file' as const, path };
    const { restore_id } = await acceptRestore(fleet.accept, { backup_id: backup.id, target, format: 'raw' });
    expect((await fleet.ended(restore_id)).status).to.equal('completed');
    const { identical, message } = await compareImages(
      { type: 'file', path, format: 'raw' },
      { type: 'file', path: disk, format: 'raw' },
    );
    expect(identical, message).to.equal(true);
  };
  /** A list that names block 1 only. */
  const lie = (since: string, now: string) => ({
    since_change_id: since,
    change_id: now,
    changed_extents: [{ offset: BLOCK, length: 10 }],
  });

  it('finds nothing where the tracker tells the truth, and the increment holds what it named', async () => {
    await backUp('honest', 'full', { change_id: 'a' });
    await writeAt(disk, BLOCK, 10);
    const made = await backUp('honest', 'incremental', lie('a', 'b'));
    expect(made).to.include({ tracker: 'extents', demotedReason: null, bytesTransferred: BLOCK });
    expect(await point(made)).to.deep.include({ status: 'completed', notes: null });
    await expectSame(made);
  });

  it('does not fail at a bad sector that the increment does not need, and says so', async () => {
    await backUp('bad sector', 'full', { change_id: 'a' });
    await writeAt(disk, BLOCK, 10);
    const map = join(fleet.suite.tempDir, 'bad.map');
    // A mapfile of GNU ddrescue: + is good, - is bad.
    await writeFile(map, `0x0 + 1\n0x0 0x70000 +\n0x70000 0x200 -\n0x70200 ${SIZE - 0x70200} +\n`);
    const server = await startNbdkit('--filter=ddrescue', 'file', disk, `ddrescue-mapfile=${map}`);
    try {
      const source = { type: 'nbd' as const, uri: server.uri() };
      const made = await backUp('bad sector', 'incremental', { ...lie('a', 'b'), source });
      expect(made).to.include({
        tracker: 'extents',
        demotedReason: null,
        bytesTransferred: BLOCK,
        attempts: 1,
      });
      const notes = [{ disk_id: 0, code: 'source_unreadable' }];
      expect(await point(made)).to.deep.include({ status: 'completed', notes });
      await expectSame(made);
    } finally {
      await server.stop();
    }
  });

  it('makes the backup in which a lie is found compare the whole disk, and says so everywhere', async () => {
    const { ds } = fleet.suite;
    await ds.query(
      `INSERT INTO webhooks (id, name, url, secret, created_at) VALUES ('whk_1', 'w', 'http://x/', 's', UTC_TIMESTAMP(3))`,
    );
    await backUp('liar', 'full', { change_id: 'a' });
    await writeAt(disk, BLOCK, 10);
    await writeAt(disk, 7 * BLOCK, 10);
    await writeAt(disk, 50 * BLOCK, 10);
    const caught = await backUp('liar', 'incremental', lie('a', 'b'));
    expect(caught).to.include({
      backupType: 'incremental',
      tracker: null,
      demotedReason: 'tracker_lied',
      bytesTransferred: 3 * BLOCK,
    });
    await expectSame(caught);
    expect(await point(caught)).to.deep.include({
      status: 'completed_with_warnings',
      notes: [{ disk_id: 0, code: 'tracker_lied' }],
    });
    const step = (await readSteps(ds, caught.id)).find(({ step: name }) => name === 'tracker_lied');
    expect(step?.data).to.deep.include({ differing: 2, blocks: [7, 50] });
    const events = await ds.query<{ subject_id: string }[]>(
      "SELECT subject_id FROM outbox_events WHERE type = 'backup.tracker_lied'",
    );
    expect(events.map(({ subject_id }) => subject_id)).to.deep.equal([caught.id]);
    const { values } = await fleet.worker.metrics.trackerLies.get();
    expect(values[0]?.value).to.equal(1);
  });

  it('then asks the tracker no more for so many backups, or until a full', async () => {
    await backUp('distrusted', 'full', { change_id: '0' });
    await writeAt(disk, 9 * BLOCK, 10);
    const ways: string[] = [];
    for (const [n, type] of [
      [1, 'incremental'],
      [2, 'incremental'],
      [3, 'incremental'],
      [4, 'incremental'],
    ] as const) {
      await writeAt(disk, BLOCK, 10);
      // The list of the second and third lie again; nobody asks.
      if (n < 4) await writeAt(disk, 20 * BLOCK, 10);
      const made = await backUp('distrusted', type, lie(String(n - 1), String(n)));
      await expectSame(made);
      ways.push(`${made.demotedReason} ${await distrust(made)}`);
    }
    expect(ways).to.deep.equal(['tracker_lied 2', 'tracker_distrusted 1', 'tracker_distrusted 0', 'null 0']);
    await writeAt(disk, 9 * BLOCK, 10);
    const again = await backUp('distrusted', 'incremental', lie('4', '5'));
    expect(await distrust(again)).to.equal(2);
    expect(await distrust(await backUp('distrusted', 'full', {}))).to.equal(0);
  });

  it('doubts what the same tracker had said since the full, and nothing else', async () => {
    const before = await backUp('doubted', 'full', { change_id: 'x' });
    const old = await backUp('doubted', 'incremental', { ...lie('x', 'y'), changed_extents: [] });
    const full = await backUp('doubted', 'full', { change_id: 'a' });
    const tracked = await backUp('doubted', 'incremental', { ...lie('a', 'b'), changed_extents: [] });
    const compared = await backUp('doubted', 'incremental', { change_id: 'c' });
    await writeAt(disk, 30 * BLOCK, 10);
    const caught = await backUp('doubted', 'incremental', lie('c', 'd'));
    expect((await row(tracked.id)).doubtedAt).to.be.instanceOf(Date);
    expect(await point(tracked)).to.deep.include({
      status: 'completed_with_warnings',
      notes: [{ disk_id: 0, code: 'tracker_doubted' }],
    });
    for (const other of [before, old, full, compared, caught]) {
      expect((await row(other.id)).doubtedAt, other.id).to.equal(null);
    }
    expect((await point(compared)).status).to.equal('completed');
    await expectSame(caught);
  });

  it('is told again by a catalogue that was rebuilt from the files', async () => {
    const { ds } = fleet.suite;
    const full = await backUp('rebuilt', 'full', { change_id: 'a' });
    const tracked = await backUp('rebuilt', 'incremental', { ...lie('a', 'b'), changed_extents: [] });
    await writeAt(disk, 30 * BLOCK, 10);
    const caught = await backUp('rebuilt', 'incremental', lie('b', 'c'));
    const { chainId, vmContextId } = caught;
    await ds.query('UPDATE backup_chains SET latest_backup_id = NULL, full_backup_id = NULL WHERE id = ?', [
      chainId,
    ]);
    await ds.query("UPDATE backup_jobs SET parent_backup_id = NULL, status = 'failed' WHERE chain_id = ?", [
      chainId,
    ]);
    await ds.query('DELETE FROM backup_jobs WHERE chain_id = ?', [chainId]);
    await ds.query('DELETE FROM restore_points WHERE vm_context_id = ?', [vmContextId]);
    const repository = { id: fleet.repositoryId, rootPath: fleet.repositoryRoot };
    const { signal } = new AbortController();
    await rebuildCatalogue({ ds, repository, dryRun: false, signal });
    expect(await row(tracked.id)).to.deep.include({ tracker: 'extents' });
    expect((await row(tracked.id)).doubtedAt).to.be.instanceOf(Date);
    expect((await row(full.id)).doubtedAt).to.equal(null);
    const notes = [await point(tracked), await point(caught)].map((each) => [each.status, each.notes]);
    expect(notes).to.deep.equal([
      ['completed_with_warnings', [{ disk_id: 0, code: 'tracker_doubted' }]],
      ['completed_with_warnings', [{ disk_id: 0, code: 'tracker_lied' }]],
    ]);
  });

  it('is not begun again by a further attempt of a job that has found a lie', async () => {
    await backUp('resumed', 'full', { change_id: 'a' });
    await writeAt(disk, 40 * BLOCK, 10);
    await fleet.stopWorking();
    const { ds } = fleet.suite;
    const answer = await acceptBackup(fleet.accept, {
      vm_name: 'resumed',
      repository_id: 'main',
      backup_type: 'incremental',
      disks: [{ disk_id: 0, ...lie('a', 'b') }],
    });
    const id = answer.disk_results[0]?.backup_id ?? '';
    // What an attempt leaves that dies after it has found the lie.
    await ds.query(
      `INSERT INTO job_steps (job_id, step, fence, state, started_at) VALUES (?, 'tracker_lied', 1, 'done', UTC_TIMESTAMP(3))`,
      [id],
    );
    await ds.query(`UPDATE backup_jobs SET delivery = 2 WHERE id = ?`, [id]);
    fleet.services.audit = { ...ALL, blocks: 0 };
    fleet.work();
    await fleet.sweep();
    expect(await fleet.ended(id)).to.include({ status: 'completed' });
    fleet.services.audit = ALL;
    const caught = await row(id);
    expect(caught).to.include({ demotedReason: 'tracker_lied', tracker: null });
    await expectSame(caught);
  });

  it('finds a lie of a differential, which is then compared with its full', async () => {
    const full = await backUp('differential', 'full', { change_id: 'f' });
    await writeAt(disk, 3 * BLOCK, 10);
    const caught = await backUp('differential', 'differential', lie('f', 'd'));
    expect(caught).to.include({ backupType: 'differential', parentBackupId: full.id });
    expect(caught.demotedReason).to.equal('tracker_lied');
    await expectSame(caught);
  });
});
