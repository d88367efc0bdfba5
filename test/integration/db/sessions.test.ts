import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'chai';
import type { RowDataPacket } from 'mysql2/promise';
import type { DataSource } from 'typeorm';
import { parseDatabaseUrl } from '../../../src/config/addresses.js';
import { asAdministrator } from '../../../src/main/embedded/mariadb.js';
import { asking, inTransaction } from '../../../src/db/transaction.js';
import { codeOf } from '../../helpers/codeOf.js';
import { openDatabase } from '../../../src/db/dataSource.js';
import { type DatabaseSuite, openDatabaseSuite } from '../../helpers/openSuite.js';
import { onMysql } from '../../helpers/servers.js';

describe('The sessions of a process', () => {
  let suite: DatabaseSuite;
  before(async () => {
    suite = await openDatabaseSuite();
  });
  after(() => suite.close());
  /** As a process of the fleet opens it. */
  const openOwn = (poolSize: number) =>
    openDatabase({ address: parseDatabaseUrl(suite.databaseUrl), poolSize, answerMs: 30_000 });

  it('are READ COMMITTED and bounded, each connection of the pool', async () => {
    // MySQL has no limit for a silent transaction, but one for a silent session.
    const names = onMysql
      ? ['transaction_isolation', 'wait_timeout']
      : ['tx_isolation', 'idle_transaction_timeout'];
    const ds = await openOwn(8);
    const sessions = await Promise.all(
      Array.from({ length: 8 }, () =>
        ds.query<Record<string, unknown>[]>(
          `SELECT CONNECTION_ID() AS id, @@${names[0]} AS isolation, @@innodb_lock_wait_timeout AS lock_wait,
                  @@${names[1]} AS silence, SLEEP(0.1) AS slept`,
        ),
      ),
    );
    await ds.destroy();
    const rows = sessions.flat();
    expect(new Set(rows.map((row) => row.id))).to.have.length(8);
    for (const row of rows) {
      expect(row).to.include({
        isolation: 'READ-COMMITTED',
        lock_wait: '10',
        silence: onMysql ? '20' : '10',
      });
    }
  });

  it('are opened by a user who has a password, over the socket', async () => {
    const user = `${suite.databaseName}_user`;
    const administer = (...statements: string[]) =>
      asAdministrator(suite.databaseSocketPath, async (connection) => {
        for (const statement of statements) await connection.query(statement);
      });
    await administer(
      `CREATE USER ${user}@localhost IDENTIFIED BY 'p@ss/word'`,
      `GRANT ALL PRIVILEGES ON ${suite.databaseName}.* TO ${user}@localhost`,
    );
    try {
      const url = suite.databaseUrl.replace(suite.databaseUser, `${user}:${encodeURIComponent('p@ss/word')}`);
      const ds = await openDatabase({ address: parseDatabaseUrl(url), poolSize: 1 });
      const [row] = await ds.query<{ name: string }[]>('SELECT CURRENT_USER() AS name');
      await ds.destroy();
      expect(row?.name).to.equal(`${user}@localhost`);
    } finally {
      await administer(`DROP USER ${user}@localhost`);
    }
  });

  it('say true and false in numbers, whatever the server calls them', async () => {
    const [row] = await suite.ds.query<Record<string, unknown>[]>(
      'SELECT 2 > 1 AS yes, 1 > 2 AS no, NULL > 1 AS unknown, 0 AS none, EXISTS (SELECT 1) AS there, COALESCE(1 > 2, 0) AS first',
    );
    expect(row).to.deep.equal({ yes: 1, no: 0, unknown: null, none: 0, there: 1, first: 0 });
  });

  it('count in a transaction what others committed while it waited for a lock', async () => {
    const count = (rows: { n: string }[]) => Number(rows[0]?.n);
    await suite.ds.query(`INSERT INTO leader_leases VALUES ('lock', 'nobody', UTC_TIMESTAMP(3))`);
    const [before, after] = await suite.ds.transaction(async (tx) => {
      const sql = 'SELECT COUNT(*) AS n FROM leader_leases';
      const first = count(await tx.query(sql));
      await suite.ds.query(`INSERT INTO leader_leases VALUES ('other', 'nobody', UTC_TIMESTAMP(3))`);
      return [first, count(await tx.query(sql))];
    });
    expect(after).to.equal((before ?? 0) + 1);
  });

  // MySQL has no such thing.
  const onMariadb = onMysql ? () => undefined : describe;
  onMariadb('on a MariaDB that isolates snapshots, as 11.8 does', () => {
    const administer = (statement: string) =>
      asAdministrator(
        suite.databaseSocketPath,
        async (connection) => (await connection.query<RowDataPacket[]>(statement))[0],
      );
    let usual: number;
    before(async () => {
      const [variable] = await administer('SELECT @@GLOBAL.innodb_snapshot_isolation AS usual');
      usual = variable?.usual;
      await administer('SET GLOBAL innodb_snapshot_isolation = ON');
    });
    after(async () => {
      await administer(`SET GLOBAL innodb_snapshot_isolation = ${usual}`);
    });

    const someoneWaits = async () => {
      for (let k = 0; k < 40; k++) {
        // InnoDB makes this table again only where nobody has looked at it for 0.1 s: else it shows the wait of the test before.
        await delay(150);
        const waiting = `SELECT 1 FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'`;
        if ((await administer(waiting)).length > 0) return;
      }
      throw new Error('Nobody waits for a lock.');
    };

    /** Looks up which row to lock and waits for the lock, which another transaction holds that changes the owner to `second`. */
    const lockLookedUp = async (ds: DataSource, prepare = 'DO 0') => {
      await suite.ds.query(`REPLACE INTO leader_leases VALUES ('watched', 'first', UTC_TIMESTAMP(3))`);
      const holder = suite.ds.createQueryRunner();
      try {
        await holder.startTransaction();
        await holder.query(`UPDATE leader_leases SET owner = 'second' WHERE name = 'watched'`);
        let tries = 0;
        const waiting = inTransaction(ds, async (tx) => {
          tries += 1;
          await tx.query(prepare);
          const [row] = await tx.query<{ owner: string }[]>(
            `SELECT owner FROM leader_leases
              WHERE name = (SELECT MAX(name) FROM leader_leases WHERE name = 'watched') FOR UPDATE`,
          );
          return row?.owner;
        });
        await someoneWaits();
        await holder.commitTransaction();
        return { owner: await waiting, tries };
      } finally {
        await holder.release();
      }
    };

    it('see what the holder of a lock has committed, at the first try', async () => {
      const ds = await openOwn(2);
      try {
        expect(await lockLookedUp(ds)).to.deep.equal({ owner: 'second', tries: 1 });
      } finally {
        await ds.destroy();
      }
    });

    it('try again what it refuses all the same', async () => {
      const ds = await openOwn(1);
      try {
        const refusing = await lockLookedUp(ds, 'SET SESSION innodb_snapshot_isolation = ON');
        expect(refusing).to.deep.equal({ owner: 'second', tries: 2 });
      } finally {
        await ds.destroy();
      }
    });
  });

  it('lose their locks to the others when their process stands still in the middle of a transaction', async function () {
    this.timeout(60_000);
    await suite.ds.query(`INSERT INTO leader_leases VALUES ('frozen', 'nobody', UTC_TIMESTAMP(3))`);
    const frozen = await openOwn(1);
    const runner = frozen.createQueryRunner();
    try {
      await runner.startTransaction();
      await runner.query(`UPDATE leader_leases SET owner = 'frozen' WHERE name = 'frozen'`);
      await inTransaction(suite.ds, (tx) =>
        tx.query(`UPDATE leader_leases SET owner = CONCAT(owner, ', then another') WHERE name = 'frozen'`),
      );
      expect(await codeOf(asking(() => runner.query('COMMIT')))).to.equal('database_unavailable');
      const [row] = await suite.ds.query<{ owner: string }[]>(
        `SELECT owner FROM leader_leases WHERE name = 'frozen'`,
      );
      expect(row?.owner).to.equal('nobody, then another');
    } finally {
      await runner.release();
      await frozen.destroy();
    }
  });
});
