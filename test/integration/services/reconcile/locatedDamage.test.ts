import { rm } from 'node:fs/promises';
import { basename } from 'node:path';
import { expect } from 'chai';
import { BackupJob } from '../../../../src/entities/index.js';
import { checkRestorable } from '../../../../src/services/restore/plan.js';
import { byId, lineageOf, loadLayers } from '../../../../src/services/chain/index.js';
import { buildChain } from '../../../helpers/chainFixture.js';
import { codeOf } from '../../../helpers/codeOf.js';
import { type DatabaseSuite, openDatabaseSuite } from '../../../helpers/openSuite.js';
import { plan, reconcile } from './support.js';

describe('A reconciliation after a deep validation', () => {
  let suite: DatabaseSuite;
  before(async () => {
    suite = await openDatabaseSuite();
  });
  after(() => suite.close());

  it('lets all that stands on a missing image feel it, also where only ranges of it were damaged before', async () => {
    const chain = await buildChain(suite.ds, suite.tempDir);
    const image = chain.backups[1]?.image ?? '';
    const [, second, , tip] = chain.backups.map(({ id }) => id);
    await suite.ds.query(`UPDATE backup_jobs SET health = 'damaged', damage_located = 1 WHERE id = ?`, [
      second,
    ]);
    const layers = async () => {
      const rows = byId(await loadLayers(suite.ds, chain.chainId));
      return { id: tip ?? '', status: 'completed' as const, ...lineageOf(rows, tip ?? ''), reach: null };
    };
    const wish = { verify: true, allowDamaged: false };
    checkRestorable(await layers(), wish);
    await rm(image);
    const lines = [`mark_damaged image_missing ${basename(image)}`];
    expect((await plan(suite.ds, chain)).slice(0, 1)).to.deep.equal(lines);
    await reconcile(suite.ds, chain);
    const row = await suite.ds.getRepository(BackupJob).findOneByOrFail({ id: second ?? '' });
    expect(row).to.include({ health: 'damaged', damageLocated: false });
    expect(await codeOf(layers().then((facts) => checkRestorable(facts, wish)))).to.equal('backup_damaged');
    expect(await plan(suite.ds, chain)).to.deep.equal([]);
  });
});
