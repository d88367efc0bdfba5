import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { expect } from 'chai';
import type { DataSource } from 'typeorm';
import { BackupChain, BackupJob, RestorePoint } from '../../../../src/entities/index.js';
import { compareImages } from '../../../../src/qcow2/index.js';
import { parseManifest } from '../../../../src/services/repository/manifest.js';
import { sidecarsOf } from '../../../../src/services/repository/layout.js';
import { attemptBackup } from '../../../helpers/backupService.js';
import { buildChain, type ChainFixture, nthBackup } from '../../../helpers/chainFixture.js';
import { addBackup } from '../../../helpers/chainJobs.js';
import { codeOf } from '../../../helpers/codeOf.js';
import { overwrite, writeAt } from '../../../helpers/disks.js';
import { asMachine, machineIsRefused } from '../../../helpers/machine.js';
import { type DatabaseSuite, openDatabaseSuite } from '../../../helpers/openSuite.js';

const MIB = 1024 ** 2;

describe('The backup of a file that somebody else writes to', function () {
  this.timeout(60_000);
  let suite: DatabaseSuite;
  let ds: DataSource;
  let chain: ChainFixture;
  let source: string;

  before(async () => {
    suite = await openDatabaseSuite();
    ({ ds } = suite);
  });

  beforeEach(async () => {
    chain = await buildChain(ds, suite.tempDir);
    source = join(suite.tempDir, `${chain.chainId}.raw`);
    await writeFile(source, nthBackup(chain, 4).content);
    await writeAt(source, MIB, 100);
  });

  after(() => suite.close());

  const row = (id: string) => ds.getRepository(BackupJob).findOneByOrFail({ id });
  const latest = async () =>
    (await ds.getRepository(BackupChain).findOneByOrFail({ id: chain.chainId })).latestBackupId;
  const asKind = (id: string, type: 'full' | 'incremental') =>
    ds.getRepository(BackupJob).update({ id }, { requestedType: type });
  const share = async (id: string) => {
    const { request } = await row(id);
    const shared = { type: 'file' as const, path: source, format: 'raw' as const, force_share: true };
    await ds.getRepository(BackupJob).update({ id }, { request: { ...request, source: shared } });
  };
  const asGuest = (work: () => Promise<void>) => asMachine(suite.tempDir, source, 'raw', work);
  /** Writes to the source when the first of its bytes are about to be read. */
  const meanwhile = (write: () => void) => {
    let done = false;
    return () => {
      if (!done) write();
      done = true;
      return undefined;
    };
  };

  for (const type of ['full', 'incremental'] as const) {
    it(`never publishes what was written to while it was read: ${type}, and the next attempt is right`, async () => {
      const id = await addBackup(ds, chain, source);
      await asKind(id, type);
      const files = (await readdir(chain.directory)).sort();
      let writing: Promise<void> | undefined;
      const rate = meanwhile(() => {
        writing = overwrite(source, 3 * MIB, Buffer.alloc(512, 0xcd));
      });
      const code = await codeOf(attemptBackup(ds, id, suite.tempDir, (held) => ({ ...held, rate })));
      await writing;
      expect(code).to.equal('source_changed');
      expect((await readdir(chain.directory)).sort()).to.deep.equal(files);
      expect(await latest()).to.equal(nthBackup(chain, 4).id);
      await attemptBackup(ds, id, suite.tempDir);
      const made = await row(id);
      expect(made.status).to.equal('completed');
      const ref = (path: string, format: 'raw' | 'qcow2') => ({ type: 'file', path, format }) as const;
      const image = join(chain.root, made.repositoryPath ?? '');
      expect((await compareImages(ref(source, 'raw'), ref(image, 'qcow2'))).identical).to.equal(true);
    });

    it(`never reads a raw disk of a running machine: ${type}`, async () => {
      const id = await addBackup(ds, chain, source);
      await asKind(id, type);
      await asGuest(async () => {
        expect(await codeOf(attemptBackup(ds, id, suite.tempDir))).to.equal('source_in_use');
      });
      expect(await latest()).to.equal(nthBackup(chain, 4).id);
    });
  }

  it('is let go before anybody is told of the backup: a machine may start at once', async () => {
    const id = await addBackup(ds, chain, source);
    const attempt = attemptBackup(ds, id, suite.tempDir);
    while ((await row(id)).status === 'running' || (await row(id)).status === 'released')
      await setImmediate();
    expect(await machineIsRefused(source, 'raw')).to.equal(false);
    await attempt;
    expect((await row(id)).status).to.equal('completed');
  });

  it('is taken with force_share, and restore point and manifest say that nothing kept others from writing', async () => {
    const id = await addBackup(ds, chain, source);
    await share(id);
    await asGuest(() => attemptBackup(ds, id, suite.tempDir));
    const { restorePointId, repositoryPath } = await row(id);
    const point = await ds.getRepository(RestorePoint).findOneByOrFail({ id: restorePointId });
    expect(point).to.deep.include({
      status: 'completed_with_warnings',
      notes: [{ disk_id: 0, code: 'source_shared' }],
    });
    const manifest = join(chain.root, sidecarsOf(repositoryPath ?? '').manifest);
    expect(parseManifest(await readFile(manifest, 'utf8'), manifest).source_shared).to.equal(true);
  });
});
