import { copyFile, readFile, rename, rm, truncate, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { expect } from 'chai';
import type { BackupType } from '../../../../src/entities/index.js';
import { parseManifest, serialiseManifest } from '../../../../src/services/repository/manifest.js';
import { expireQuarantine } from '../../../../src/services/repository/expireQuarantine.js';
import { quarantineFile } from '../../../../src/services/repository/quarantine.js';
import { rebuildCatalogue } from '../../../../src/services/rebuild/rebuildCatalogue.js';
import { buildChain, type ChainFixture, type ChainStep } from '../../../helpers/chainFixture.js';
import { type DatabaseSuite, openDatabaseSuite } from '../../../helpers/openSuite.js';
import { ageFiles, forgetNewest } from '../../../helpers/olderCatalogue.js';
import { createRandom, type Random } from '../../../helpers/random.js';
import { readableImages } from '../../../helpers/readableImages.js';
import { reconcile, signal } from './support.js';

const ROUNDS = Number(process.env.STRATA_SIDECAR_ROUNDS ?? 4);
const SEED = Number(process.env.STRATA_SIDECAR_SEED ?? Date.now() % 1_000_000);
const MIB = 1024 ** 2;
const MONTHS_MS = 100 * 86_400_000;

type Sidecar = 'manifest' | 'digests';

describe('Whatever becomes of sidecars, and however old the catalogue is', function () {
  this.timeout(60_000 + ROUNDS * 60_000);
  let suite: DatabaseSuite;
  before(async () => {
    suite = await openDatabaseSuite();
  });
  after(() => suite.close());

  const steps = (random: Random): ChainStep[] =>
    Array.from({ length: random.integer(3, 7) }, (_, index) => {
      const type: BackupType =
        index === 0
          ? 'full'
          : random.pick(['incremental', 'incremental', 'incremental', 'differential', 'full']);
      const offset = random.integer(0, 60) * 65_536;
      return { type, writes: [{ offset, length: 65_536, pattern: index + 1 }] };
    });

  /** Does one thing to the sidecars of some backups, and says what. */
  const damage = async (chain: ChainFixture, random: Random): Promise<string> => {
    const one = random.integer(0, chain.backups.length - 1);
    const other = random.integer(0, chain.backups.length - 1);
    const kind: Sidecar = random.pick(['manifest', 'manifest', 'digests']);
    const [a, b] = [chain.backups[one]?.[kind] ?? '', chain.backups[other]?.[kind] ?? ''];
    const what = random.pick(['remove', 'cut', 'swap', 'copy', 'rename', 'older', 'flip'] as const);
    const there = await readFile(a).catch(() => undefined);
    if (!there) return 'nothing';
    switch (what) {
      case 'remove':
        await rm(a);
        break;
      case 'cut':
        await truncate(a, random.integer(0, there.length - 1));
        break;
      case 'swap':
        await rename(a, `${a}.swap`);
        await rename(b, a).catch(() => undefined);
        await rename(`${a}.swap`, b);
        break;
      case 'copy':
        await copyFile(a, b);
        break;
      case 'rename':
        await rename(
          a,
          join(dirname(a), `moved-${random.integer(0, 9)}${kind === 'manifest' ? '.json' : '.digests'}`),
        );
        break;
      case 'older':
        await makeOlder(a, random).catch(() => undefined);
        break;
      case 'flip':
        there[random.integer(0, there.length - 1)] = 0x2a;
        await writeFile(a, there);
    }
    return `${what} ${kind} of ${one + 1} (${other + 1})`;
  };

  /** As from before a merge: it stands on something else and has another length, and its checksum is right. */
  const makeOlder = async (path: string, random: Random) => {
    const manifest = parseManifest(await readFile(path, 'utf8'), path);
    const length = manifest.file_length - 65_536 * random.integer(1, 2);
    const parent = {
      parent_backup_id: 'bkp_before',
      parent_file: 'before.qcow2',
      backup_type: 'incremental' as const,
    };
    await writeFile(path, serialiseManifest({ ...manifest, ...parent, file_length: length }));
  };

  it('what qemu-img could read before it can read after: keeper, rebuild, keeper, and months', async () => {
    for (let round = 0; round < ROUNDS; round++) {
      const random = createRandom(SEED + round);
      const chain = await buildChain(suite.ds, suite.tempDir, steps(random), 4 * MIB);
      const all = chain.backups.map((_, index) => index + 1);
      const left = random.integer(0, chain.backups.length);
      const done = [`${chain.backups.length} backups, ${left} in the catalogue`];
      await forgetNewest(suite.ds, chain, left);
      for (let n = random.integer(1, 4); n > 0; n--) done.push(await damage(chain, random));
      await ageFiles(chain.directory);
      // An earlier release moved images that others stand on, or that only qemu-img knows.
      const moved = random.integer(0, 2) === 0 ? random.integer(left, chain.backups.length) : undefined;
      const victim = chain.backups[moved ?? -1];
      if (victim) done.push(await moveAside(chain, victim.path));
      const context = `STRATA_SIDECAR_SEED=${SEED + round}: ${done.join(', ')}`;
      const repository = { id: chain.repositoryId, rootPath: chain.root };
      const keep = () => reconcile(suite.ds, chain);
      const rebuild = () => rebuildCatalogue({ ds: suite.ds, repository, dryRun: false, signal });
      const wait = () =>
        expireQuarantine(repository, { now: new Date(Date.now() + MONTHS_MS), days: 30, signal });
      for (const [name, step] of Object.entries({
        keep,
        rebuild,
        again: keep,
        wait,
        last: keep,
        end: wait,
      })) {
        await step();
        expect(await readableImages(chain), `after ${name}; ${context}`).to.deep.equal(all);
      }
      await rm(chain.root, { recursive: true });
    }
  });

  const moveAside = async (chain: ChainFixture, file: string) => {
    await quarantineFile(chain.root, file, {
      file,
      reason: 'unknown_file',
      message: '',
      chain_id: null,
      backup_id: null,
      job_id: 'mnt_before',
      quarantined_at: new Date().toISOString(),
    });
    return `${file} in quarantine`;
  };
});
