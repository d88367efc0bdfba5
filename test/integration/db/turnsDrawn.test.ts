import { JOB_KINDS } from '../../../src/shared/jobs.js';
import { expect } from 'chai';
import { JOB_TABLES } from '../../../src/db/job/kinds.js';
import { releaseHeadless } from '../../../src/db/job/sweep.js';
import { type DatabaseSuite, openDatabaseSuite } from '../../helpers/openSuite.js';
import { createRandom } from '../../helpers/random.js';
import { openTurnChain } from '../../helpers/turnChain.js';

describe('The turns of a chain, drawn at random,', () => {
  let suite: DatabaseSuite;
  before(async () => {
    suite = await openDatabaseSuite();
  });
  after(() => suite.close());

  it('are one at a time, in order but for reads, and none is lost, whatever happens in which order', async function () {
    this.timeout(120_000);
    for (let seed = 1; seed <= Number(process.env.STRATA_ROUNDS ?? 6); seed++) await drawn(seed);
  });

  async function drawn(seed: number): Promise<void> {
    const random = createRandom(seed);
    const chain = await openTurnChain(suite, `drawn${seed}`);
    const done = await chain.backup();
    await chain.ends(await chain.begin(done));
    const accepted: string[] = [];
    const began: string[] = [];
    const open = async () => {
      const parts = JOB_KINDS.map(
        (kind) =>
          `SELECT id, status, seq FROM ${JOB_TABLES[kind]} WHERE chain_id = ? AND status IN ('queued', 'released', 'running')`,
      );
      return suite.ds.query<{ id: string; status: string }[]>(
        `SELECT * FROM (${parts.join(' UNION ALL ')}) o ORDER BY seq`,
        JOB_KINDS.map(() => chain.chainId),
      );
    };
    const work = async (mayWait: boolean) => {
      const turns = (await open()).filter(({ status }) => status !== 'queued');
      expect(turns.length, `seed ${seed}`).to.be.at.most(1);
      const [head] = turns;
      if (!head) return;
      const lease = await chain.begin(head.id);
      if (mayWait && random.integer(0, 2) > 0) {
        await chain.waits(lease, random.pick([0, 20_000, 60_000]));
        return;
      }
      began.push(head.id);
      await chain.ends(lease);
    };
    for (let step = 0; step < 40; step++) {
      const act = random.integer(0, 9);
      if (act < 2) accepted.push(await chain.backup());
      else if (act < 4) accepted.push(await chain.restore(done));
      else if (act === 4) accepted.push(await chain.maintenance(random.pick(['validate', 'consolidate'])));
      else if (act < 8) await work(true);
      else for (const { id } of await open()) if (random.integer(0, 1)) await chain.isDue(id);
    }
    for (let left = accepted.length + 1; (await open()).length > 0; left--) {
      expect(left, `seed ${seed}: ${JSON.stringify(await open())}`).to.be.above(0);
      for (const { id } of await open()) await chain.isDue(id);
      for (const delivery of await releaseHeadless(suite.ds))
        expect(delivery.jobId, `seed ${seed}`).to.equal(undefined);
      await work(false);
    }
    expect([...began].sort(), `seed ${seed}`).to.deep.equal([...accepted].sort());
    const types = new Map(
      (await suite.ds.query<{ id: string; type: string }[]>('SELECT id, type FROM maintenance_jobs')).map(
        ({ id, type }) => [id, type],
      ),
    );
    const ordered = (id: string) => !id.startsWith('rst_') && types.get(id) !== 'validate';
    expect(began.filter(ordered), `seed ${seed}`).to.deep.equal(accepted.filter(ordered));
  }
});
