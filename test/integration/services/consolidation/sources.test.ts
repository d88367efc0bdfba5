import { closeSync, openSync, readSync, writeSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { expect } from 'chai';
import { BackupJob } from '../../../../src/entities/index.js';
import { sourcesOf } from '../../../../src/services/consolidation/sources.js';
import { planRemoval } from '../../../../src/services/consolidation/run.js';
import { loadLayers } from '../../../../src/services/chain/index.js';
import type { ReportProgress } from '../../../../src/services/deps.js';
import { codeOf } from '../../../helpers/codeOf.js';
import { linearChain, type MergeBench, openMergeBench } from '../../../helpers/mergeBench.js';
import { placeOf } from '../validation/deep/places.js';
import { flip } from '../validation/faultTools.js';
import { validate } from '../validation/support.js';

const MIB = 1024 ** 2;

describe('A consolidation of a backup that has rotted unseen', function () {
  this.timeout(120_000);
  let bench: MergeBench;
  before(async () => {
    bench = await openMergeBench(linearChain(2));
    await bench.ds.query(
      `INSERT INTO webhooks (id, name, url, secret, created_at) VALUES ('whk_1', 'w', 'http://x/', 's', UTC_TIMESTAMP(3))`,
    );
  });
  beforeEach(async () => {
    await bench.reset();
    await bench.ds.query('DELETE FROM outbox_events');
  });
  after(() => bench.close());

  const rows = async () => {
    const found = await bench.ds.getRepository(BackupJob).find({ order: { seq: 'ASC' } });
    return found
      .filter(({ repositoryPath }) => repositoryPath !== null)
      .map(({ status, contentWrongAt }) => `${status}${contentWrongAt === null ? '' : ' wrong'}`);
  };

  for (const strategy of ['copy', 'in_place'] as const) {
    it(`gives up no point for it: one that was to go may be the last that is sound (${strategy})`, async () => {
      const tip = bench.at(3);
      const files = await readdir(bench.chain.directory);
      await flip(tip.image, await placeOf(tip.image, 2 * MIB + 100));
      const jobId = await bench.add(bench.at(1), bench.at(2));
      expect(await codeOf(bench.attempt(jobId, strategy))).to.equal('content_mismatch');
      expect(await rows()).to.deep.equal(['completed', 'completed', 'completed wrong']);
      expect(await readdir(bench.chain.directory)).to.have.members(files);
      await bench.comparePoints([bench.at(1), bench.at(2)], 'what was to go');
      // Known to be wrong it is merged with nothing, and what is sound stays.
      expect(await codeOf(bench.attempt(jobId, strategy))).to.equal('backup_in_use');
      expect(await rows()).to.deep.equal(['completed', 'completed', 'completed wrong']);
    });
  }

  it('accuses nothing, and removes nothing, where the disk gives a file wrong once and right when it is asked again', async () => {
    const tip = bench.at(3);
    const place = await placeOf(tip.image, 2 * MIB + 100);
    await flip(tip.image, place);
    const layers = await loadLayers(bench.ds, bench.chain.chainId);
    const { sizeBytes, virtualSize } = layers.find(({ id }) => id === tip.id) ?? expect.fail();
    let readings = 0;
    const report: ReportProgress = ({ phase, bytes_done: done }) => {
      // The block was read, and found wrong.
      const isPast = done >= Math.floor((sizeBytes * (2 * MIB + 65_536)) / virtualSize);
      if (phase !== 'checking' || !isPast || readings++ > 0) return;
      const file = openSync(tip.image, 'r+');
      const byte = Buffer.alloc(1);
      readSync(file, byte, 0, 1, place);
      writeSync(file, Buffer.of((byte[0] ?? 0) ^ 0xff), 0, 1, place);
      closeSync(file);
    };
    const jobId = await bench.add(bench.at(1), bench.at(2));
    // The tip is read first.
    expect(await codeOf(bench.attempt(jobId, undefined, { report }))).to.equal('target_unreliable');
    expect(readings).to.be.greaterThan(0);
    expect(await rows()).to.deep.equal(['completed', 'completed', 'completed']);
  });

  it('is told once, is cleared by a deep validation when the file was put right, and is then carried out', async () => {
    const tip = bench.at(3);
    const place = await placeOf(tip.image, 2 * MIB + 100);
    await flip(tip.image, place);
    const jobId = await bench.add(bench.at(1), bench.at(2));
    expect(await codeOf(bench.attempt(jobId))).to.equal('content_mismatch');
    expect(await codeOf(bench.attempt(jobId))).to.equal('backup_in_use');
    await bench.ds.query(`UPDATE maintenance_jobs SET status = 'failed' WHERE id = ?`, [jobId]);
    await bench.ds.query('UPDATE backup_chains SET lease_until = NULL');
    await validate(bench.ds, bench.chain);
    const told = () =>
      bench.ds.query<{ type: string }[]>(
        `SELECT type FROM outbox_events WHERE subject_id = ? AND type LIKE 'backup.%ed' ORDER BY id`,
        [tip.id],
      );
    expect((await told()).map(({ type }) => type)).to.deep.equal(['backup.damaged']);
    await flip(tip.image, place);
    await validate(bench.ds, bench.chain, { level: 'deep' });
    expect((await told()).map(({ type }) => type)).to.deep.equal(['backup.damaged', 'backup.cleared']);
    await bench.attempt(await bench.add(bench.at(1), bench.at(2)));
    await bench.expectDone([tip], 'put right');
  });

  it('is stopped as well by what lies between, and by an index that cannot be believed', async () => {
    const middle = bench.at(2);
    const place = await placeOf(middle.image, 1 * MIB + 100);
    const jobId = await bench.add(bench.at(1), middle);
    await flip(middle.image, place);
    expect(await codeOf(bench.attempt(jobId))).to.equal('content_mismatch');
    expect(await rows()).to.deep.equal(['completed', 'completed wrong', 'completed']);
    await bench.reset();
    await flip(middle.digests, 150);
    expect(await codeOf(bench.attempt(await bench.add(bench.at(1), middle)))).to.equal(
      'digest_index_invalid',
    );
    expect(await rows()).to.deep.equal(['completed', 'completed', 'completed']);
  });

  it('reads neither the base nor what an attempt before has expired', async () => {
    const layers = await loadLayers(bench.ds, bench.chain.chainId);
    const [first, second, third] = layers;
    if (!first || !second || !third) throw new Error('The chain is too short.');
    const read = (known: typeof layers, ...remove: string[]) =>
      sourcesOf(known, planRemoval(known, remove)).map(({ id }) => id);
    expect(read(layers, first.id, second.id)).to.deep.equal([third.id, second.id]);
    expect(read(layers, second.id)).to.deep.equal([third.id]);
    expect(read(layers, third.id)).to.deep.equal([]);
    const cut = [first, { ...second, expired: true }, third];
    expect(read(cut)).to.deep.equal([]);
    expect(read(cut, first.id)).to.deep.equal([third.id]);
  });
});
