import { copyFile, readFile, rename, rm, truncate, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { expect } from 'chai';
import { parseManifest, serialiseManifest } from '../../../../src/services/repository/manifest.js';
import { buildChain, type ChainFixture, nthBackup } from '../../../helpers/chainFixture.js';
import { linearChain, type MergeBench, openMergeBench } from '../../../helpers/mergeBench.js';
import { type DatabaseSuite, openDatabaseSuite } from '../../../helpers/openSuite.js';
import { ageFiles, forgetNewest } from '../../../helpers/olderCatalogue.js';
import { codes, healths, validate } from '../validation/support.js';
import { plan, quarantined, reconcile } from './support.js';

describe('Manifests beside a living catalogue', function () {
  this.timeout(60_000);
  let suite: DatabaseSuite;
  before(async () => {
    suite = await openDatabaseSuite();
  });
  after(() => suite.close());

  const said = async (chain: ChainFixture, n: number) => {
    const path = nthBackup(chain, n).manifest;
    return parseManifest(await readFile(path, 'utf8'), path);
  };
  /** Without what only the attempt that published it knew. */
  const withoutAttempt = (manifest: Awaited<ReturnType<typeof said>>) => ({
    ...manifest,
    fence: 0,
    file_mtime_ms: 0,
    tracker: null,
    audit: null,
  });

  it('are written anew where they are lost, cut, swapped or older, and say what they said', async () => {
    const chain = await buildChain(suite.ds, suite.tempDir);
    const [one, two, three, four] = [1, 2, 3, 4].map((n) => nthBackup(chain, n));
    if (!one || !two || !three || !four) throw new Error('A chain of four.');
    const before = await Promise.all([1, 2, 3, 4].map((n) => said(chain, n)));
    await rm(one.manifest);
    await truncate(two.manifest, 200);
    await rename(three.manifest, `${three.manifest}.swap`);
    await rename(four.manifest, three.manifest);
    await rename(`${three.manifest}.swap`, four.manifest);
    expect(await plan(suite.ds, chain)).to.deep.equal([
      `write_manifest manifest_lost ${basename(one.manifest)}`,
      `write_manifest manifest_unusable ${basename(two.manifest)}`,
      `write_manifest manifest_of_another ${basename(three.manifest)}`,
      `write_manifest manifest_of_another ${basename(four.manifest)}`,
    ]);
    await reconcile(suite.ds, chain);
    expect(await plan(suite.ds, chain)).to.deep.equal([]);
    const after = await Promise.all([1, 2, 3, 4].map((n) => said(chain, n)));
    expect(after.map(withoutAttempt)).to.deep.equal(before.map(withoutAttempt));
    expect((await validate(suite.ds, chain)).findings).to.deep.equal([]);
    const kept = (await quarantined(chain)).filter((path) => !path.endsWith('.reason.json'));
    expect(kept).to.have.length(3);
  });

  it('say again what the catalogue notes against the source of a backup', async () => {
    const chain = await buildChain(suite.ds, suite.tempDir);
    const [shared, corrupt, other] = [1, 2, 3].map((n) => nthBackup(chain, n));
    if (!shared || !corrupt || !other) throw new Error('A chain of three.');
    const note = (id: string, notes: object[]) =>
      suite.ds.query(
        `UPDATE restore_points SET notes = ?
          WHERE id = (SELECT restore_point_id FROM backup_jobs WHERE id = ?)`,
        [JSON.stringify(notes), id],
      );
    await note(shared.id, [{ disk_id: 0, code: 'source_shared' }]);
    await note(corrupt.id, [
      { disk_id: 0, code: 'disk_grown' },
      { disk_id: 0, code: 'source_corrupt' },
    ]);
    // Of another disk of the same point.
    await note(other.id, [{ disk_id: 7, code: 'source_corrupt' }]);
    for (const { manifest } of [shared, corrupt, other]) await rm(manifest);
    await reconcile(suite.ds, chain);
    const sources = await Promise.all(
      [1, 2, 3].map(async (n) => {
        const { source_shared: isShared, source_corrupt: isCorrupt } = await said(chain, n);
        return [isShared, isCorrupt];
      }),
    );
    expect(sources).to.deep.equal([
      [true, undefined],
      [undefined, true],
      [undefined, undefined],
    ]);
  });

  it('are not written anew beside an image that QEMU finds broken: its length of today is not that of its backup', async () => {
    const chain = await buildChain(suite.ds, suite.tempDir);
    const { image, manifest } = nthBackup(chain, 4);
    await rm(manifest);
    await truncate(image, 262_144);
    await reconcile(suite.ds, chain);
    expect((await validate(suite.ds, chain)).affected).to.have.length(1);
    expect(await plan(suite.ds, chain)).to.deep.equal([]);
  });

  it('of images that the catalogue lacks are not put away, wherever they lie', async () => {
    const chain = await buildChain(suite.ds, suite.tempDir);
    await forgetNewest(suite.ds, chain, 3);
    const [known, unknown] = [nthBackup(chain, 2), nthBackup(chain, 4)];
    await rename(unknown.manifest, known.manifest);
    await ageFiles(chain.directory);
    await reconcile(suite.ds, chain);
    expect((await readFile(known.manifest, 'utf8')).includes(unknown.id)).to.equal(true);
    const stray = join(chain.directory, 'stray.json');
    await rename(known.manifest, stray);
    await ageFiles(chain.directory);
    await reconcile(suite.ds, chain);
    expect((await readFile(stray, 'utf8')).includes(unknown.id)).to.equal(true);
  });
});

describe('An older manifest beside a merged image', function () {
  this.timeout(120_000);
  let bench: MergeBench;
  afterEach(() => bench.close());

  it('does not make the image suspect, and is written anew', async () => {
    bench = await openMergeBench(linearChain(4));
    const top = bench.at(3);
    const older = `${top.manifest}.older`;
    await copyFile(top.manifest, older);
    await bench.attempt(await bench.add(bench.at(2)), 'copy');
    await rename(older, top.manifest);
    const { ds } = bench.suite;
    const report = await validate(ds, bench.chain);
    expect(codes(bench.chain, report).filter((code) => !code.endsWith('unknown_file'))).to.deep.equal([
      '3:manifest_mismatch',
    ]);
    expect(report.affected).to.deep.equal([]);
    expect((await healths(ds, bench.chain)).backups).not.to.contain('suspect');
    await reconcile(ds, bench.chain);
    expect((await validate(ds, bench.chain)).findings).to.deep.equal([]);
  });

  it('does not hide that the image was written to since its own manifest', async () => {
    bench = await openMergeBench(linearChain(3));
    const { manifest } = bench.at(2);
    const now = parseManifest(await readFile(manifest, 'utf8'), manifest);
    await writeFile(manifest, serialiseManifest({ ...now, file_length: now.file_length - 65_536 }));
    expect(codes(bench.chain, await validate(bench.suite.ds, bench.chain))).to.include('2:file_grown');
  });
});
