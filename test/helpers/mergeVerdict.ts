import { readdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { expect } from 'chai';
import type { DataSource } from 'typeorm';
import { BackupChain, BackupJob } from '../../src/entities/index.js';
import { backingNameOf } from '../../src/qcow2/index.js';
import { diskDirectory } from '../../src/services/repository/layout.js';
import { NOTHING_EXISTS } from '../../src/services/rebuild/facts.js';
import { planDisk } from '../../src/services/rebuild/plan.js';
import { readDisk } from '../../src/services/rebuild/readDisk.js';
import { runValidation } from '../../src/services/validation/index.js';
import { systemClock } from '../../src/shared/clock.js';
import type { ChainFixture, FixtureBackup } from './chainFixture.js';
import { addValidation, hold } from './chainJobs.js';
import { underLease } from '../../src/services/job/under.js';

/** What a rebuild from the files alone would take in: every kept point, healthy, on what its image refers to. */
export async function expectRebuildable(
  chain: ChainFixture,
  kept: readonly FixtureBackup[],
  context: string,
  root: string,
): Promise<void> {
  const { vm_context_id: vmContextId, disk_id: diskId } = chain.backups[0]?.manifestContent ?? {
    vm_context_id: '',
    disk_id: 0,
  };
  const directory = diskDirectory(vmContextId, diskId);
  const names = await readdir(join(root, directory));
  const found = await readDisk({
    root,
    repositoryId: chain.repositoryId,
    disk: { vmContextId, diskId, directory, names },
    signal: new AbortController().signal,
  });
  const plan = planDisk(found, NOTHING_EXISTS);
  const rows = new Map(plan.insert.map((backup) => [backup.manifest.backup_id, backup]));
  for (const { id, path, contentId } of kept) {
    const row = rows.get(id);
    expect(row, `${context}: ${id} is not taken in: ${JSON.stringify(plan.problems)}`).to.not.equal(
      undefined,
    );
    expect(row?.health, `${context}: ${id}`).to.equal('ok');
    expect(row?.manifest, `${context}: ${id}`).to.include({ content_id: contentId });
    expect(row?.manifest.expired_at, `${context}: ${id}`).to.equal(undefined);
    // Down to a full, each image refers to what the rows say.
    for (let at = row; at; at = rows.get(at.manifest.parent_backup_id ?? '')) {
      const backing = await backingNameOf(join(root, at.path));
      expect(backing ?? null, `${context}: below ${id}`).to.equal(at.manifest.parent_file);
      if (at.manifest.parent_backup_id === null) break;
      expect([...rows.keys()], `${context}: below ${id} (${basename(path)})`).to.include(
        at.manifest.parent_backup_id,
      );
    }
  }
  const refused = [...found.problems, ...plan.problems].filter(({ severity }) => severity === 'refused');
  expect(refused, context).to.deep.equal([]);
}

/** Kept rows complete, the others gone with their files, and a validation that finds nothing. */
export async function expectDone(
  ds: DataSource,
  chain: ChainFixture,
  kept: readonly FixtureBackup[],
  context: string,
): Promise<void> {
  const rows = await ds.getRepository(BackupJob).find({ where: { chainId: chain.chainId } });
  const points = rows.filter(({ status }) => status === 'completed').map(({ id }) => id);
  expect(points, context).to.have.members(kept.map(({ id }) => id));
  for (const { status, fileRemovedAt } of rows)
    if (status === 'expired') expect(fileRemovedAt, context).to.not.equal(null);
  const files = kept.flatMap(({ image, digests, manifest }) => [image, digests, manifest]);
  expect(await readdir(chain.directory), context).to.have.members(files.map((file) => basename(file)));
  const jobId = await addValidation(ds, chain);
  const held = await hold(ds, 'maintenance', jobId);
  const deps = { ds, clock: systemClock, scratchDir: chain.root };
  const { result } = await runValidation(underLease(deps, held, () => undefined));
  expect(result.findings, context).to.deep.equal([]);
  const head = await ds.getRepository(BackupChain).findOneByOrFail({ id: chain.chainId });
  expect(head.latestBackupId, context).to.equal(kept.at(-1)?.id ?? null);
  expect(head.mergingBackupId, context).to.equal(null);
  expect(head.totalBackups, context).to.equal(kept.length);
}
