import { expect } from 'chai';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { DataSource } from 'typeorm';
import { BackupChain } from '../../../../src/entities/index.js';
import { buildChain, PLAIN_CHAIN } from '../../../helpers/chainFixture.js';
import { type DatabaseSuite, openDatabaseSuite } from '../../../helpers/openSuite.js';
import { codes, healths, validate } from './support.js';

describe('quick validation of healthy chains', function () {
  this.timeout(120_000);
  let suite: DatabaseSuite;
  let ds: DataSource;

  before(async () => {
    suite = await openDatabaseSuite();
    ({ ds } = suite);
  });

  after(() => suite.close());

  it('finds nothing in a chain that is as it was published', async () => {
    const chain = await buildChain(ds, suite.tempDir);
    const report = await validate(ds, chain);
    expect(report).to.deep.include({
      level: 'quick',
      healthy: true,
      checked_files: 4,
      affected: [],
      chain_health: 'ok',
    });
    expect(report.findings).to.deep.equal([]);
    expect(report.backups.map(({ backup_id }) => backup_id)).to.deep.equal(chain.backups.map(({ id }) => id));
    const { lastValidatedAt } = await ds.getRepository(BackupChain).findOneByOrFail({ id: chain.chainId });
    expect(lastValidatedAt).to.be.instanceOf(Date);
  });

  it('takes differentials, several segments and a grown disk for what they are', async () => {
    const MIB = 1024 ** 2;
    const chain = await buildChain(ds, suite.tempDir, [
      ...PLAIN_CHAIN.slice(0, 2),
      { type: 'differential', writes: [{ offset: 0, length: 65536, pattern: 0x51 }] },
      { type: 'full', writes: [{ offset: 0, length: MIB, pattern: 0x61 }] },
      {
        type: 'incremental',
        virtualSize: 20 * MIB,
        writes: [{ offset: 16 * MIB, length: MIB, pattern: 0x71 }],
      },
      { type: 'differential', writes: [{ offset: 0, length: 65536, pattern: 0x72 }] },
    ]);
    const report = await validate(ds, chain);
    expect(report.findings).to.deep.equal([]);
    expect(report.checked_files).to.equal(6);
  });

  it('says that a chain without backups is healthy', async () => {
    const chain = await buildChain(ds, suite.tempDir, []);
    const report = await validate(ds, chain);
    expect(report).to.deep.include({ healthy: true, checked_files: 0, findings: [], backups: [] });
  });

  it('clears backups that were marked before and are healthy now', async () => {
    const chain = await buildChain(ds, suite.tempDir);
    await ds.query(`UPDATE backup_jobs SET health = 'suspect' WHERE chain_id = ?`, [chain.chainId]);
    await ds.query(`UPDATE backup_jobs SET health = 'damaged' WHERE id = ?`, [chain.backups[1]?.id]);
    await ds.query(`UPDATE backup_chains SET health = 'damaged' WHERE id = ?`, [chain.chainId]);
    await validate(ds, chain);
    expect(await healths(ds, chain)).to.deep.equal({ backups: 'ok ok ok ok', chain: 'ok' });
  });

  it('reports unknown and left-over files without touching them or calling the chain unhealthy', async () => {
    const chain = await buildChain(ds, suite.tempDir);
    await writeFile(join(chain.directory, 'backup-other-0-1-full.qcow2'), 'not ours');
    await writeFile(join(chain.directory, '.backup-x-0-9-incr.qcow2.3.partial'), 'left');
    const report = await validate(ds, chain);
    expect(codes(chain, report)).to.deep.equal(['stale_partial', 'unknown_file']);
    expect(report.findings.every(({ severity }) => severity === 'warning')).to.equal(true);
    expect(report.healthy).to.equal(true);
    expect(report.affected).to.deep.equal([]);
    expect((await validate(ds, chain)).findings).to.have.length(2);
  });
});
