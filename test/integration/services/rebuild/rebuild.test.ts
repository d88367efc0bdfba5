import { copyFile, readdir, readFile, rename, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { BackupChain, BackupJob, MaintenanceJob, RestorePoint } from '../../../../src/entities/index.js';
import { acceptBackup, acceptRestore, acceptValidation } from '../../../../src/producers/accept/index.js';
import { compareImages } from '../../../../src/qcow2/index.js';
import { rebuildCatalogue } from '../../../../src/services/rebuild/rebuildCatalogue.js';
import { MARKER_NAME } from '../../../../src/services/repository/marker.js';
import { sidecarsOf } from '../../../../src/services/repository/layout.js';
import { codeOf } from '../../../helpers/codeOf.js';
import { makeDisk, writeAt } from '../../../helpers/disks.js';
import { openFleet, type TestFleet } from '../../../helpers/fleet.js';
import { signal } from '../reconcile/support.js';

const SIZE = 4 * 1024 * 1024;
/** What a rebuilt row has anew: the history of the job, and where its bytes came from. */
const NOT_IN_MANIFESTS = [
  'delivery',
  'attempts',
  'startedAt',
  'completedAt',
  'request',
  'progress',
  'sizeChanges',
  'createdAt',
];

function without(row: object, names: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(Object.entries(row).filter(([name]) => !names.includes(name)));
}

describe('The rebuilding of the catalogue from the files', () => {
  let fleet: TestFleet;
  const disks: string[] = [];
  const points: { id: string; diskId: number; saved: string }[] = [];
  before(async () => {
    fleet = await openFleet();
    fleet.work();
    for (const diskId of [0, 10]) {
      const path = join(fleet.sources, `disk-${diskId}.raw`);
      disks.push(path);
      await makeDisk(path, SIZE, [[0, 300_000]]);
    }
    for (const type of ['full', 'incremental', 'differential', 'incremental'] as const) await backup(type);
  });
  after(() => fleet.close());

  /** Backs up both disks and saves what they held. */
  const backup = async (type: 'full' | 'incremental' | 'differential') => {
    const body = {
      vm_name: 'web01',
      repository_id: 'main',
      backup_type: type,
      disks: [0, 10].map((disk_id, index) => ({
        disk_id,
        source: {
          type: 'file' as const,
          path: disks[index] ?? '',
          format: 'raw' as const,
          // One point with something to be said against it, which its rows must say again.
          ...(type === 'differential' && disk_id === 10 ? { force_share: true } : {}),
        },
        change_id: `change-${points.length}`,
      })),
    };
    for (const path of disks) await writeAt(path, points.length * 70_000, 100);
    const answer = await acceptBackup(fleet.accept, body);
    for (const [index, { disk_id, backup_id }] of answer.disk_results.entries()) {
      const end = await fleet.ended(backup_id);
      expect(end.status, end.error_detail ?? '').to.equal('completed');
      const saved = join(fleet.suite.tempDir, `${backup_id}.saved`);
      await copyFile(disks[index] ?? '', saved);
      points.push({ id: backup_id, diskId: disk_id, saved });
    }
  };
  const dropCatalogue = () =>
    fleet.suite.ds.transaction(async (tx) => {
      await tx.query('UPDATE backup_chains SET latest_backup_id = NULL, full_backup_id = NULL');
      await tx.query("UPDATE backup_jobs SET parent_backup_id = NULL, status = 'failed'");
      for (const table of [
        'job_steps',
        'maintenance_jobs',
        'restore_jobs',
        'backup_jobs',
        'restore_points',
        'backup_chains',
        'vm_disks',
        'vm_contexts',
      ]) {
        await tx.query(`DELETE FROM ${table}`);
      }
    });
  const rebuild = (dryRun = false) => {
    const repository = { id: fleet.repositoryId, rootPath: fleet.repositoryRoot };
    return rebuildCatalogue({ ds: fleet.suite.ds, repository, dryRun, signal });
  };
  const rows = async () => {
    const { ds } = fleet.suite;
    const backups = await ds.getRepository(BackupJob).find({ order: { chainId: 'ASC', seq: 'ASC' } });
    const chains = await ds.getRepository(BackupChain).find({ order: { id: 'ASC' } });
    const restorePoints = await ds.getRepository(RestorePoint).find({ order: { id: 'ASC' } });
    return {
      backups: backups.map((row) => without(row, NOT_IN_MANIFESTS)),
      chains: chains.map((row) => without(row, ['fence', 'committed', 'lastValidatedAt'])),
      points: restorePoints.map((row) => without(row, ['completedAt'])),
    };
  };

  it('brings back every row under its own id, and only says so in a dry run', async () => {
    const before = await rows();
    const highest = Math.max(
      ...(await fleet.suite.ds.getRepository(BackupChain).find()).map(({ fence }) => fence),
    );
    await dropCatalogue();
    const planned = await rebuild(true);
    expect(planned).to.include({ inserted: 8, existing: 0 });
    expect((await rows()).backups).to.deep.equal([]);
    const done = await rebuild();
    expect(done).to.deep.equal(planned);
    expect(done.problems).to.deep.equal([]);
    expect(await rows()).to.deep.equal(before);
    for (const { fence } of await fleet.suite.ds.getRepository(BackupChain).find())
      expect(fence).to.be.greaterThan(highest);
  });

  it('changes nothing the second time', async () => {
    const before = await rows();
    expect(await rebuild()).to.include({ inserted: 0, existing: 8 });
    expect(await rows()).to.deep.equal(before);
  });

  it('leaves chains that a validation finds healthy', async () => {
    for (const { id } of await fleet.suite.ds.getRepository(BackupChain).find()) {
      const { job_id } = await acceptValidation(fleet.accept, { chainId: id, level: 'quick' });
      expect((await fleet.ended(job_id)).status).to.equal('completed');
      const job = await fleet.suite.ds.getRepository(MaintenanceJob).findOneByOrFail({ id: job_id });
      expect(job.result, JSON.stringify(job.result)).to.deep.include({ healthy: true, findings: [] });
    }
  });

  it('goes on with an increment on the rebuilt chain, and restores every point of before and after', async () => {
    await backup('incremental');
    for (const { id, saved } of points) {
      const path = join(fleet.restores, `${id}.raw`);
      const target = { type: 'file' as const, path };
      const { restore_id } = await acceptRestore(fleet.accept, { backup_id: id, target, format: 'raw' });
      const end = await fleet.ended(restore_id);
      expect(end.status, end.error_detail ?? '').to.equal('completed');
      const raw = (file: string) => ({ type: 'file' as const, path: file, format: 'raw' as const });
      expect((await compareImages(raw(path), raw(saved))).identical, id).to.equal(true);
      await rm(path);
    }
    const last = await fleet.suite.ds
      .getRepository(BackupJob)
      .findOneByOrFail({ id: points.at(-1)?.id ?? '' });
    expect(last).to.include({
      backupType: 'incremental',
      demotedReason: null,
      parentBackupId: points.at(-3)?.id,
    });
  });

  it('takes in what an older copy of the catalogue lacks, and advances the chain to it', async () => {
    const before = await rows();
    const last = points.at(-1)?.id ?? '';
    const below = points.at(-3)?.id ?? '';
    await fleet.suite.ds.query('UPDATE backup_chains SET latest_backup_id = ? WHERE latest_backup_id = ?', [
      below,
      last,
    ]);
    await fleet.suite.ds.query('DELETE FROM restore_jobs WHERE backup_id = ?', [last]);
    await fleet.suite.ds.query('DELETE FROM backup_jobs WHERE id = ?', [last]);
    expect(await rebuild()).to.include({ inserted: 1, existing: 9 });
    expect(await rows()).to.deep.equal(before);
  });

  it('gives a backup whose manifest is lost its place and its restore point again, by the other disk', async () => {
    const { ds } = fleet.suite;
    const second = points.filter(({ diskId }) => diskId === 0)[1]?.id ?? '';
    const one = () => ds.getRepository(BackupJob).findOneByOrFail({ id: second });
    const before = await one();
    const { manifest } = sidecarsOf(join(fleet.repositoryRoot, before.repositoryPath ?? ''));
    await rename(manifest, `${manifest}.away`);
    await dropCatalogue();
    const { inserted, problems } = await rebuild();
    expect(problems.map(({ severity, reason }) => `${severity} ${reason}`)).to.deep.equal([
      'warning manifest_rebuilt',
    ]);
    expect(inserted).to.equal(10);
    const names = [
      'seq',
      'restorePointId',
      'parentBackupId',
      'backupType',
      'contentId',
      'virtualSize',
      'sizeBytes',
    ] as const;
    const after = await one();
    for (const name of names) expect(after[name], name).to.equal(before[name]);
    expect(after).to.include({ health: 'suspect', changeId: null });
    await rename(`${manifest}.away`, manifest);
  });

  it('says what it cannot take in, and takes in the rest', async () => {
    const { ds } = fleet.suite;
    const paths = new Map<string, string>();
    for (const { id, repositoryPath } of await ds.getRepository(BackupJob).find())
      paths.set(id, repositoryPath ?? '');
    const ofDisk = (diskId: number) => points.filter((point) => point.diskId === diskId).map(({ id }) => id);
    const [first = '', second = '', third = ''] = ofDisk(0);
    const [, , , fourth = ''] = ofDisk(10);
    const file = (id: string) => sidecarsOf(join(fleet.repositoryRoot, paths.get(id) ?? ''));
    await dropCatalogue();
    await rename(file(second).image, `${file(second).image}.away`);
    await rm(file(third).digests);
    const foreign = JSON.parse(await readFile(file(first).manifest, 'utf8'));
    await writeFile(file(first).manifest.replace('.json', 'x.json'), JSON.stringify({ ...foreign, seq: 7 }));
    await truncate(file(fourth).image, 4096);
    const { inserted, problems } = await rebuild();
    expect(problems.map(({ severity, reason }) => `${severity} ${reason}`).sort()).to.deep.equal([
      'refused image_missing',
      'refused manifest_invalid',
      'warning digests_missing',
      'warning image_truncated',
    ]);
    expect(inserted).to.equal(9);
    const health = await ds.getRepository(BackupJob).find({ where: { diskId: 10 }, order: { seq: 'ASC' } });
    expect(health.map((row) => row.health)).to.deep.equal(['ok', 'ok', 'ok', 'damaged', 'suspect']);
  });

  it('refuses a repository without its marker, and inserts nothing', async () => {
    await dropCatalogue();
    await rename(join(fleet.repositoryRoot, MARKER_NAME), join(fleet.suite.tempDir, 'marker'));
    expect(await codeOf(rebuild())).to.equal('repository_unavailable');
    expect((await rows()).backups).to.deep.equal([]);
    expect((await readdir(fleet.repositoryRoot)).length).to.equal(1);
  });
});
