import { expect } from 'chai';
import { fillCatalogue } from '../../../../bench/catalogue.js';
import { countCalls } from '../../../../bench/calls.js';
import { readCadences } from '../../../../src/db/chain/cadence.js';
import { validateDue } from '../../../../src/producers/keeper/validate.js';
import { planRepositoryCadence } from '../../../../src/services/validation/index.js';
import { openFleet, type TestFleet } from '../../../helpers/fleet.js';
import { onMysql } from '../../../helpers/servers.js';

const CHAINS = 10_000;
const BACKUPS = 2;
/** Far above what a busy machine takes, and far below the minute after which a keeper looks again. */
const MOST_MS = 10_000;
/** The repositories, their chains, their open validations; and the counter's own question. */
const TO_PLAN = 4;
/** Of each chain that has its turn: its transaction, with the job and its place. */
const TO_BEGIN = 12;

describe('The keeper, with 10,000 chains to validate,', function () {
  this.timeout(60_000);
  let fleet: TestFleet;
  before(async function () {
    // The catalogue is filled by the sequence engine of MariaDB.
    if (onMysql) this.skip();
    fleet = await openFleet();
    await fillCatalogue(fleet.suite.ds, fleet.repositoryId, { chains: CHAINS, backups: BACKUPS });
    await sql('UPDATE repositories SET validate_quick_hours = 24, validate_deep_days = 30');
    await sql('UPDATE backup_chains SET total_size_bytes = 1000000 * CRC32(id) % 100000');
  });
  after(() => fleet?.close());

  const sql = (text: string) => fleet.suite.ds.query<unknown>(text);
  const timed = async (work: () => Promise<unknown>) => {
    const began = performance.now();
    await work();
    return performance.now() - began;
  };
  const plan = async () => {
    for (const repository of await readCadences(fleet.suite.ds)) {
      await planRepositoryCadence(fleet.suite.ds, repository);
    }
  };

  it('plans with as many statements as for one', async () => {
    await plan();
    let ms = 0;
    const { sql: statements } = await countCalls(fleet, async () => {
      ms = await timed(plan);
    });
    console.log(`      ${statements - 1} statements, ${ms.toFixed(0)} ms`);
    expect(statements).to.be.at.most(TO_PLAN);
    expect(ms).to.be.below(MOST_MS);
  });

  it('begins what is due with a few statements for each of those, and none for the others', async () => {
    await sql('UPDATE repositories SET quick_next_at = NULL, deep_next_at = NULL');
    let ms = 0;
    const deps = { ...fleet.accept, metrics: fleet.worker.metrics };
    const { sql: statements } = await countCalls(fleet, async () => {
      ms = await timed(() => validateDue(deps, new AbortController().signal));
    });
    const rows = await fleet.suite.ds.query<{ n: string }[]>('SELECT COUNT(*) AS n FROM maintenance_jobs');
    const begun = Number(rows[0]?.n);
    console.log(`      ${statements - 1} statements, ${ms.toFixed(0)} ms for ${begun} chains`);
    // 10,000 chains in 24 hours, twice as fast as all of them are overdue, are 14 a minute; and a deep one.
    expect(begun).to.be.within(2, 51);
    expect(statements).to.be.at.most(TO_PLAN + 2 + TO_BEGIN * begun);
    expect(ms).to.be.below(MOST_MS);
  });
});
