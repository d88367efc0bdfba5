import { expect } from 'chai';
import { type DatabaseSuite, openDatabaseSuite } from '../../helpers/openSuite.js';

describe('The sessions of a process', () => {
  let suite: DatabaseSuite;
  before(async () => {
    suite = await openDatabaseSuite();
  });
  after(() => suite.close());

  it('are READ COMMITTED and bounded, each connection of the pool', async () => {
    const sessions = await Promise.all(
      Array.from({ length: 8 }, () =>
        suite.ds.query<Record<string, unknown>[]>(
          `SELECT CONNECTION_ID() AS id, @@tx_isolation AS isolation, @@innodb_lock_wait_timeout AS lock_wait,
                  @@idle_transaction_timeout AS idle, SLEEP(0.1) AS slept`,
        ),
      ),
    );
    const rows = sessions.flat();
    expect(new Set(rows.map((row) => row.id))).to.have.length(8);
    for (const row of rows) {
      expect(row).to.include({ isolation: 'READ-COMMITTED', lock_wait: '10', idle: '10' });
    }
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
});
