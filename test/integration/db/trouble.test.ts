import { expect } from 'chai';
import { asking } from '../../../src/db/transaction.js';
import { asAdministrator } from '../../../src/main/embedded/mariadb.js';
import { codeOf } from '../../helpers/codeOf.js';
import { type DatabaseSuite, openDatabaseSuite } from '../../helpers/openSuite.js';

describe('A statement whose failure says nothing about what it asked', () => {
  let suite: DatabaseSuite;
  before(async () => {
    suite = await openDatabaseSuite();
  });
  after(() => suite.close());

  /** Runs `SELECT SLEEP` and does something about its connection. */
  const sleeping = async (meddle: (id: number) => string, prepare?: string) => {
    const runner = suite.ds.createQueryRunner();
    try {
      if (prepare !== undefined) await runner.query(prepare);
      const [row] = (await runner.query('SELECT CONNECTION_ID() AS id')) as unknown as { id: number }[];
      const asked = codeOf(asking(() => runner.query("SELECT SLEEP(2) FROM DUAL WHERE 'x' <> ''")));
      await asAdministrator(suite.databaseSocketPath, async (connection) => {
        await connection.query('DO SLEEP(0.3)');
        await connection.query(meddle(row?.id ?? 0));
      });
      return await asked;
    } finally {
      await runner.release();
    }
  };

  it('is tried again later: its connection was killed, it was killed itself, or it took longer than is allowed', async () => {
    expect(await sleeping((id) => `KILL CONNECTION ${id}`)).to.equal('database_unavailable');
    expect(await sleeping((id) => `KILL QUERY ${id}`)).to.equal('database_unavailable');
    const impatient = 'SET SESSION max_statement_time = 0.2';
    expect(await sleeping(() => 'DO 0', impatient)).to.equal('database_unavailable');
  });
});
