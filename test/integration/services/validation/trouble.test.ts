import { mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import type { DataSource } from 'typeorm';
import { BackupChain, MaintenanceJob } from '../../../../src/entities/index.js';
import { serveImage } from '../../../../src/qcow2/index.js';
import { sidecarsOf } from '../../../../src/services/repository/layout.js';
import { MARKER_NAME } from '../../../../src/services/repository/marker.js';
import { runValidation } from '../../../../src/services/validation/index.js';
import { StrataError } from '../../../../src/shared/errors.js';
import { buildChain, type ChainFixture } from '../../../helpers/chainFixture.js';
import { addValidation, hold } from '../../../helpers/chainJobs.js';
import { codeOf } from '../../../helpers/codeOf.js';
import { type DatabaseSuite, openDatabaseSuite } from '../../../helpers/openSuite.js';
import { runTool } from '../../../helpers/runTool.js';
import { codes, depsOf, healths, validate } from './support.js';
import { underLease } from '../../../../src/services/job/under.js';

describe('quick validation in trouble that is no damage', function () {
  this.timeout(120_000);
  let suite: DatabaseSuite;
  let ds: DataSource;
  let chain: ChainFixture;

  before(async () => {
    suite = await openDatabaseSuite();
    ({ ds } = suite);
  });

  beforeEach(async () => {
    chain = await buildChain(ds, suite.tempDir);
  });

  after(() => suite.close());

  const image = (number: number): string => chain.backups[number - 1]?.image ?? '';

  const expectNothingMarked = async (): Promise<void> => {
    expect(await healths(ds, chain)).to.deep.equal({ backups: 'ok ok ok ok', chain: 'ok' });
    const { lastValidatedAt } = await ds.getRepository(BackupChain).findOneByOrFail({ id: chain.chainId });
    expect(lastValidatedAt).to.equal(null);
  };

  it('stops and marks nothing when the repository is not mounted', async () => {
    await rename(join(chain.root, MARKER_NAME), join(chain.root, 'elsewhere'));
    await rename(chain.directory, `${chain.directory}-away`);
    expect(await codeOf(validate(ds, chain))).to.equal('repository_unavailable');
    await expectNothingMarked();
  });

  it('stops and marks nothing when the repository goes away in the middle', async () => {
    const jobId = await addValidation(ds, chain);
    const held = await hold(ds, 'maintenance', jobId);
    let gone: Promise<void> | undefined;
    const work = runValidation(
      underLease(depsOf(ds), held, () => {
        gone ??= rename(chain.root, `${chain.root}-away`);
      }),
    );
    expect(await codeOf(work)).to.equal('repository_unavailable');
    await gone;
    await expectNothingMarked();
  });

  it('stops and marks nothing when the directory is another repository', async () => {
    const other = await buildChain(ds, suite.tempDir, []);
    await rename(join(other.root, MARKER_NAME), join(chain.root, MARKER_NAME));
    expect(await codeOf(validate(ds, chain))).to.equal('repository_marker_foreign');
    await expectNothingMarked();
  });

  it('stops and marks nothing when the directory cannot be listed', async () => {
    await rm(chain.directory, { recursive: true });
    await writeFile(chain.directory, '');
    expect(await codeOf(validate(ds, chain))).to.equal('repository_unavailable');
    await expectNothingMarked();
  });

  it('stops and marks nothing when not one of the files can be read', async () => {
    for (const { image } of chain.backups) {
      await rm(image);
      await symlink(image, image);
    }
    expect(await codeOf(validate(ds, chain))).to.equal('repository_unavailable');
    await expectNothingMarked();
  });

  it('calls a file that a writer holds open unreadable, and its dependants suspect', async () => {
    const directory = await mkdtemp(join(suite.tempDir, 'w-'));
    const writer = await serveImage({
      path: image(2),
      format: 'qcow2',
      readOnly: false,
      socketPath: join(directory, 's'),
    });
    try {
      expect(codes(chain, await validate(ds, chain))).to.deep.equal(['2:unreadable']);
    } finally {
      await writer.close();
    }
    expect(await healths(ds, chain)).to.deep.equal({
      backups: 'ok suspect suspect suspect',
      chain: 'suspect',
    });
    expect((await validate(ds, chain)).healthy).to.equal(true);
    expect((await healths(ds, chain)).backups).to.equal('ok ok ok ok');
  });

  it('does not wait for a FIFO, and reads no device, in the place of a sidecar', async () => {
    const [first, second, third] = chain.backups.map((one) => sidecarsOf(one.image));
    for (const path of [first?.manifest ?? '', second?.digests ?? '']) {
      await rm(path);
      await runTool('mkfifo', path);
    }
    await rm(third?.manifest ?? '');
    await symlink('/dev/zero', third?.manifest ?? '');
    expect(codes(chain, await validate(ds, chain))).to.deep.equal([
      '1:manifest_invalid',
      '2:digests_invalid',
      '3:manifest_invalid',
    ]);
    const deep = codes(chain, await validate(ds, chain, { level: 'deep' }));
    expect(deep).to.deep.equal(['1:manifest_invalid', '2:digests_rebuilt', '3:manifest_invalid']);
    expect((await healths(ds, chain)).backups).to.equal('ok ok ok ok');
  });

  it('keeps what was found damaged before while it cannot be read', async () => {
    await ds.query(`UPDATE backup_jobs SET health = 'damaged' WHERE id = ?`, [chain.backups[2]?.id]);
    await rm(image(3));
    await symlink(image(3), image(3));
    await validate(ds, chain);
    expect((await healths(ds, chain)).backups).to.equal('ok ok damaged suspect');
  });

  it('stops within 2 s of an abort, with its reason, and marks nothing', async () => {
    await rm(image(1));
    const abort = new AbortController();
    const jobId = await addValidation(ds, chain);
    const held = await hold(ds, 'maintenance', jobId, abort.signal);
    let abortedAt = 0;
    const work = runValidation(
      underLease(depsOf(ds), held, () => {
        if (abortedAt > 0) return;
        abortedAt = performance.now();
        abort.abort(new StrataError('shutting_down', 'The worker stops.'));
      }),
    );
    expect(await codeOf(work)).to.equal('shutting_down');
    expect(performance.now() - abortedAt).to.be.lessThan(2000);
    await expectNothingMarked();
  });

  it('marks nothing once the lease is lost', async () => {
    await rm(image(1));
    const jobId = await addValidation(ds, chain);
    const held = await hold(ds, 'maintenance', jobId);
    await ds.query('UPDATE backup_chains SET fence = fence + 1 WHERE id = ?', [chain.chainId]);
    expect(await codeOf(runValidation(underLease(depsOf(ds), held, () => undefined)))).to.equal('lease_lost');
    await expectNothingMarked();
    const { status } = await ds.getRepository(MaintenanceJob).findOneByOrFail({ id: jobId });
    expect(status).to.equal('running');
  });
});
