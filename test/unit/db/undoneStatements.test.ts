import { expect } from 'chai';
import type { DataSource } from 'typeorm';
import { refuseUndone } from '../../../src/db/undoneStatements.js';
import { codeOf } from '../../helpers/codeOf.js';

const matched = (rows: number) => ({
  affectedRows: rows,
  info: `Rows matched: ${rows}  Changed: 0  Warnings: 0`,
});
/** What MariaDB 11.8 says of a statement of one table that it has not begun, and every server of a DELETE without a match. */
const NOTHING = { affectedRows: 0, info: '' };

/** A data source whose server gives the answers that are written down; Debian 12's has no other. */
function serverWith(...answers: unknown[]) {
  const sent: string[] = [];
  const dataSource = {
    createQueryRunner: () => ({
      query: async (statement: string) => {
        sent.push(statement);
        return answers.shift();
      },
    }),
  } as unknown as DataSource;
  refuseUndone(dataSource);
  return { sent, query: (statement: string) => dataSource.createQueryRunner().query(statement) };
}

describe('A statement that the server answers without having begun it', () => {
  it('is no success, where the server says what an UPDATE has matched', async () => {
    const { query, sent } = serverWith(matched(1), NOTHING);
    await query('UPDATE t SET n = 1');
    expect(await codeOf(query('\n  update t SET n = 2'))).to.equal('database_unavailable');
    expect(sent).to.have.length(2);
  });

  it('is not suspected where an UPDATE has matched nothing and says so', async () => {
    const { query, sent } = serverWith(matched(0), matched(0));
    await query('UPDATE t SET n = 1');
    expect(await query('UPDATE t SET n = 2')).to.deep.equal(matched(0));
    expect(sent).to.have.length(2);
  });

  it('is sent once more where no UPDATE ever says what it matched, as behind a proxy', async () => {
    const { query, sent } = serverWith(NOTHING, { affectedRows: 1, info: '' });
    expect(await query('UPDATE t SET n = 1')).to.include({ affectedRows: 1 });
    expect(sent).to.have.length(2);
  });

  it('is sent once more if it is a DELETE, and believed then', async () => {
    const { query, sent } = serverWith(NOTHING, { affectedRows: 2, info: '' }, NOTHING, NOTHING);
    expect(await query('DELETE FROM t')).to.include({ affectedRows: 2 });
    expect(await query('DELETE FROM t')).to.deep.equal(NOTHING);
    expect(sent).to.have.length(4);
  });

  it('can be no other than these: an INSERT, a COMMIT and rows are passed on as they are', async () => {
    const rows = [{ n: 1 }];
    const { query, sent } = serverWith(NOTHING, NOTHING, rows);
    expect(await query('INSERT INTO t SELECT 1')).to.deep.equal(NOTHING);
    expect(await query('COMMIT')).to.deep.equal(NOTHING);
    expect(await query('SELECT 1')).to.equal(rows);
    expect(sent).to.have.length(3);
  });
});
