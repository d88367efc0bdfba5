import { existsSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { expect } from 'chai';
import { backingNameOf, createImage } from '../../src/qcow2/index.js';
import { quarantineFile } from '../../src/services/repository/quarantine.js';
import { buildChain, type ChainFixture, nthBackup } from '../helpers/chainFixture.js';
import { ageFiles, forgetNewest } from '../helpers/olderCatalogue.js';
import { type KillableAttempt, operationsOf, runAttempt } from '../helpers/killAttempt.js';
import { type DatabaseSuite, openDatabaseSuite } from '../helpers/openSuite.js';
import { readableImages } from '../helpers/readableImages.js';
import { addReconcile } from '../integration/services/reconcile/support.js';

/** Every operation in a long run; else every so many, others each day of the month. */
const STRIDE = Number(process.env.STRATA_KILL_STRIDE ?? 40);
const VIRTUAL_SIZE = 1024 * 1024;

describe('A reconciliation that is killed between two moves', function () {
  this.timeout(300_000);
  let suite: DatabaseSuite;
  before(async () => {
    suite = await openDatabaseSuite();
  });
  after(() => suite.close());

  /**
   * A catalogue that knows two of four backups, a lost manifest, an image in quarantine on which another stands, and three
   * images upon nothing, which go to quarantine.
   */
  const build = async () => {
    const chain = await buildChain(suite.ds, suite.tempDir);
    await forgetNewest(suite.ds, chain, 2);
    await rm(nthBackup(chain, 2).manifest);
    const gone = join(chain.directory, 'gone.qcow2');
    await createImage(gone, { virtualSizeBytes: VIRTUAL_SIZE });
    for (const [name, below] of [
      ['dead1', 'gone'],
      ['dead2', 'dead1'],
      ['dead3', 'dead2'],
    ] as const) {
      await createImage(join(chain.directory, `${name}.qcow2`), {
        virtualSizeBytes: VIRTUAL_SIZE,
        backing: { name: `${below}.qcow2`, format: 'qcow2' },
      });
    }
    await rm(gone);
    await ageFiles(chain.directory);
    const third = nthBackup(chain, 3);
    for (const path of [third.image, third.digests, third.manifest]) await moveAside(chain, path);
    return chain;
  };
  const moveAside = (chain: ChainFixture, path: string) =>
    quarantineFile(chain.root, path.slice(chain.root.length + 1), {
      file: path.slice(chain.root.length + 1),
      reason: 'unknown_file',
      message: '',
      chain_id: null,
      backup_id: null,
      job_id: 'mnt_before',
      quarantined_at: new Date(Date.now() - 86_400_000).toISOString(),
    });
  const attemptOf = (chain: ChainFixture, jobId: string): KillableAttempt => ({
    suite,
    root: chain.root,
    program: 'reconcileAttempt.js',
    args: [jobId],
  });
  /** Images of the directory whose backing file lies beside them. */
  const standing = async (chain: ChainFixture) => {
    const names = (await readdir(chain.directory)).filter((name) => name.endsWith('.qcow2'));
    const found: string[] = [];
    for (const name of names) {
      const below = await backingNameOf(join(chain.directory, name));
      if (below !== undefined && existsSync(join(chain.directory, below))) found.push(name);
    }
    return found;
  };

  it('leaves no image without its base, and the next attempt brings all to its end', async () => {
    const first = await build();
    const operations = await operationsOf(attemptOf(first, await addReconcile(suite.ds, first)));
    expect(operations.length).to.be.greaterThan(30);
    for (const [n, operation] of operations.entries()) {
      if (n % STRIDE !== new Date().getDate() % STRIDE) continue;
      const chain = await build();
      const jobId = await addReconcile(suite.ds, chain);
      const before = await standing(chain);
      const attempt = attemptOf(chain, jobId);
      const context = `killed before ${operation}`;
      expect(await runAttempt(attempt, { STRATA_TEST_KILL_AT: String(n + 1) }), context).to.equal('SIGKILL');
      const after = await standing(chain);
      const torn = before.filter((name) => existsSync(join(chain.directory, name)) && !after.includes(name));
      expect(torn, context).to.deep.equal([]);
      expect((await readableImages(chain)).slice(0, 2), context).to.deep.equal([1, 2]);
      expect(await runAttempt(attempt, {}), context).to.equal('');
      expect(await readableImages(chain), context).to.deep.equal([1, 2, 3, 4]);
      const names = await readdir(chain.directory);
      expect(
        names.filter((name) => name.startsWith('dead')),
        context,
      ).to.deep.equal([]);
      for (const { manifest } of chain.backups) expect(names, context).to.include(basename(manifest));
    }
  });
});
