import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import type { DataSource } from 'typeorm';
import { BackupJob } from '../../src/entities/index.js';
import { attemptBackup } from '../helpers/backupService.js';
import { buildChain, type ChainFixture } from '../helpers/chainFixture.js';
import { addBackup } from '../helpers/chainJobs.js';
import { openFailingDisk } from '../helpers/failingDisk.js';
import { runTool } from '../helpers/runTool.js';
import { type KillableAttempt, operationsOf, runAttempt } from '../helpers/killAttempt.js';
import { type DatabaseSuite, openDatabaseSuite } from '../helpers/openSuite.js';
import { placeOf } from '../integration/services/validation/deep/places.js';
import { flip } from '../integration/services/validation/faultTools.js';
import { validate } from '../integration/services/validation/support.js';

/** Every point in the soak run; in the short one every so many, beginning somewhere else each day of the month. */
const STRIDE = Number(process.env['STRATA_KILL_STRIDE'] ?? 101);
/** A round with a disk of its own takes longer: in the short run it is one. */
const BAD_SECTORS_STRIDE = STRIDE === 101 ? 211 : STRIDE;
const BEGIN = new Date().getDate() * 7;
const MIB = 1024 ** 2;
const BLOCK = 65_536;
/** Blocks of the full and of the tip that are harmed. */
const HARMED = [
  { number: 1, offset: 0 },
  { number: 1, offset: 8 * MIB + 5 * BLOCK },
  { number: 4, offset: 12 * MIB },
];

describe('A healing that is killed', function () {
  this.timeout(STRIDE === 1 ? 7_200_000 : 240_000);
  let suite: DatabaseSuite;
  let ds: DataSource;
  before(async () => {
    suite = await openDatabaseSuite();
    ({ ds } = suite);
  });
  after(() => suite.close());

  /** Where a round's repository lies, how a byte of its files is harmed, and what removes it. */
  const openRot = () => Promise.resolve({ path: suite.tempDir, harm: flip, remove: () => Promise.resolve() });
  const openBadSectors = async () => {
    const { path, failAt, remove } = await openFailingDisk(suite.tempDir, 'failing');
    return { path, harm: failAt, remove };
  };
  type Place = Awaited<ReturnType<typeof openBadSectors>>;

  const openRound = async ({ path, harm }: Place) => {
    const chain = await buildChain(ds, path);
    const disk = join(suite.tempDir, `${chain.chainId}.raw`);
    const now = Buffer.from(chain.backups.at(-1)?.content ?? '').fill(0x5a, 5 * MIB, 5 * MIB + BLOCK);
    await writeFile(disk, now);
    for (const { number, offset } of HARMED) {
      const image = chain.backups[number - 1]?.image ?? '';
      await harm(image, await placeOf(image, offset + 9));
    }
    await validate(ds, chain, { level: 'deep' });
    return { chain, now, jobId: await addBackup(ds, chain, disk) };
  };
  type Round = Awaited<ReturnType<typeof openRound>>;

  /** Of the backup, in a process of its own. */
  const attempt = (chain: ChainFixture, jobId: string): KillableAttempt => ({
    suite,
    root: chain.root,
    program: 'healAttempt.js',
    args: [jobId, suite.tempDir],
  });

  const readPoint = async (image: string): Promise<Buffer> => {
    const raw = join(suite.tempDir, 'point.raw');
    // What the disk does not give is zeros.
    await runTool('qemu-img', 'convert', '--salvage', '-U', '-f', 'qcow2', '-O', 'raw', image, raw);
    const content = await readFile(raw);
    await rm(raw);
    return content;
  };

  /** No point is worse than the harm has made it: all but those blocks is what was backed up. */
  const expectNotWorse = async ({ backups }: ChainFixture, context: string) => {
    for (const [i, { image, content }] of backups.entries()) {
      const found = await readPoint(image);
      for (const { offset } of HARMED) content.copy(found, offset, offset, offset + BLOCK);
      expect(found.equals(content), `${context}: point ${i + 1}`).to.equal(true);
    }
  };

  const expectHealed = async ({ chain, jobId, now }: Round, context: string) => {
    await expectNotWorse(chain, context);
    const before = await ds.getRepository(BackupJob).findOneByOrFail({ id: jobId });
    if (before.status !== 'completed') await attemptBackup(ds, jobId, suite.tempDir);
    const row = await ds.getRepository(BackupJob).findOneByOrFail({ id: jobId });
    expect(row, context).to.include({ status: 'completed', backupType: 'incremental', demotedReason: null });
    const newest = await readPoint(join(chain.root, row.repositoryPath ?? ''));
    expect(newest.equals(now), context).to.equal(true);
    for (const { image, content } of chain.backups)
      expect((await readPoint(image)).equals(content), context).to.equal(true);
    expect((await validate(ds, chain, { level: 'deep' })).findings, context).to.deep.equal([]);
    expect((await readdir(chain.directory)).filter((name) => name.endsWith('.partial'))).to.deep.equal([]);
  };

  const sweep = async (open: () => Promise<Place>, stride: number) => {
    const inPlace = async <T>(work: (round: Round) => Promise<T>): Promise<T> => {
      const place = await open();
      try {
        return await work(await openRound(place));
      } finally {
        await place.remove();
      }
    };
    const operations = await inPlace(({ chain, jobId }) => operationsOf(attempt(chain, jobId)));
    const points = operations.flatMap((operation, n) =>
      (['before', 'after'] as const).map((when) => ({ operation, at: n + 1, when })),
    );
    let killed = 0;
    for (let turn = BEGIN % stride; turn < points.length; turn += stride) {
      const { operation, at, when } = points[turn] ?? { operation: '', at: 0, when: 'before' };
      const context = `killed ${when} ${operation}`;
      const signal = await inPlace(async (round) => {
        const env = { STRATA_TEST_KILL_AT: String(at), STRATA_TEST_KILL_WHEN: when };
        const ended = await runAttempt(attempt(round.chain, round.jobId), env);
        if (ended !== '') await expectHealed(round, context);
        return ended;
      });
      // The last ones come by the clock in part: an attempt may have fewer of them.
      if (signal === '') break;
      expect(signal, context).to.equal('SIGKILL');
      killed++;
    }
    console.log(`      ${killed} kill points (${operations.length} operations): 0 points worse, all healed`);
  };

  it('before or after any operation makes no point worse, and the next attempt finishes it', () =>
    sweep(openRot, STRIDE));

  it('of what a disk does not give does neither, and is finished as well', () =>
    sweep(openBadSectors, BAD_SECTORS_STRIDE));
});
