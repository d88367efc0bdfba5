import { expect } from 'chai';
import { setTimeout as delay } from 'node:timers/promises';
import type { RowDataPacket } from 'mysql2/promise';
import { asking, inTransaction } from '../../../src/db/transaction.js';
import { asAdministrator } from '../../../src/main/embedded/mariadb.js';
import { StrataError } from '../../../src/shared/errors.js';
import { codeOf } from '../../helpers/codeOf.js';
import { type DatabaseSuite, openDatabaseSuite } from '../../helpers/openSuite.js';
import { onMysql } from '../../helpers/servers.js';

describe('A statement whose failure says nothing about what it asked', () => {
  let suite: DatabaseSuite;
  before(async () => {
    suite = await openDatabaseSuite();
  });
  after(() => suite.close());

  /** A sleep that an interruption fails on both servers: on its own, MySQL's ends early and says so in its value. */
  const SLEEPING = 'SELECT 1 FROM (SELECT 1 AS n UNION ALL SELECT 2) two WHERE SLEEP(2) = 0';

  /** Runs a statement that sleeps and does something about its connection. */
  const sleeping = async (meddle: (id: number) => string, prepare?: string) => {
    const runner = suite.ds.createQueryRunner();
    try {
      if (prepare !== undefined) await runner.query(prepare);
      const [row] = (await runner.query('SELECT CONNECTION_ID() AS id')) as unknown as { id: number }[];
      const asked = codeOf(asking(() => runner.query(SLEEPING)));
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
    const impatient = onMysql
      ? 'SET SESSION max_execution_time = 200'
      : 'SET SESSION max_statement_time = 0.2';
    expect(await sleeping(() => 'DO 0', impatient)).to.equal('database_unavailable');
  });

  it('leaves no transaction open where the kill meets its end, and no half of one behind', async () => {
    await suite.ds.query('CREATE TABLE halves (id INT PRIMARY KEY, n INT NOT NULL)');
    await suite.ds.query('INSERT INTO halves VALUES (1, 0), (2, 0)');
    const over = new AbortController();
    let current = 0;
    const ids = new Set<number>();
    const killing = asAdministrator(suite.databaseSocketPath, async (connection) => {
      while (!over.signal.aborted) await connection.query(`KILL QUERY ${current}`).catch(() => undefined);
    });
    const add = async (fails: boolean) =>
      inTransaction(suite.ds, async (tx) => {
        await tx.query('UPDATE halves SET n = n + 1 WHERE id = 1');
        const [row] = await tx.query<{ id: number }[]>('SELECT CONNECTION_ID() AS id');
        current = row?.id ?? 0;
        ids.add(current);
        if (fails) throw new StrataError('wrong_state', 'no more');
        await tx.query('UPDATE halves SET n = n + 1 WHERE id = 2');
      }).catch(() => undefined);
    const until = performance.now() + 3_000;
    for (let k = 0; performance.now() < until; k++) await add(k % 2 === 0);
    over.abort();
    await killing;
    // What is still open now is a connection's of the pool: nobody works any more.
    const open = `SELECT trx_mysql_thread_id AS id FROM information_schema.innodb_trx`;
    const rows = await asAdministrator(suite.databaseSocketPath, async (connection) => {
      // The server ends what a closed connection has left in its own time.
      await connection.query('DO SLEEP(0.3)');
      return (await connection.query<(RowDataPacket & { id: number })[]>(open))[0];
    });
    expect(rows.filter(({ id }) => ids.has(id))).to.deep.equal([]);
    const values = await suite.ds.query<{ n: number }[]>('SELECT n FROM halves');
    expect(new Set(values.map(({ n }) => n)).size).to.equal(1);
    await suite.ds.query('DROP TABLE halves');
  });

  it('deletes what it says it has deleted, if the kill comes just before it', async () => {
    await suite.ds.query('CREATE TABLE gone (id INT PRIMARY KEY)');
    const runner = suite.ds.createQueryRunner();
    const [row] = (await runner.query('SELECT CONNECTION_ID() AS id')) as unknown as { id: number }[];
    const kept: number[] = [];
    await asAdministrator(suite.databaseSocketPath, async (connection) => {
      const until = performance.now() + 3_000;
      for (let id = 1; performance.now() < until; id++) {
        await suite.ds.query('INSERT INTO gone VALUES (?)', [id]);
        // One kill, a little earlier or later in relation to the statement each time.
        const deleted = delay((id % 10) / 20).then(() => runner.query('DELETE FROM gone WHERE id = ?', [id]));
        const killed = delay((id % 7) / 14).then(() => connection.query(`KILL QUERY ${row?.id}`));
        const succeeded = await deleted.then(
          () => true,
          () => false,
        );
        await killed;
        // A kill that nothing took goes by with this one.
        await runner.query('DO 0').catch(() => undefined);
        const left = await suite.ds.query<unknown[]>('SELECT 1 FROM gone WHERE id = ?', [id]);
        if (succeeded && left.length > 0) kept.push(id);
      }
    });
    await runner.release();
    expect(kept).to.deep.equal([]);
    await suite.ds.query('DROP TABLE gone');
  });
});
