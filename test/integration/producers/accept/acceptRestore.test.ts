import { join } from 'node:path';
import { expect } from 'chai';
import { acceptRestore } from '../../../../src/producers/accept/index.js';
import { buildChain, type ChainFixture } from '../../../helpers/chainFixture.js';
import { codeOf } from '../../../helpers/codeOf.js';
import { openFleet, type TestFleet } from '../../../helpers/fleet.js';

describe('A restore that is asked for', () => {
  let fleet: TestFleet;
  let chain: ChainFixture;
  let lowest: string;
  let top: string;
  before(async () => {
    fleet = await openFleet();
    chain = await buildChain(fleet.suite.ds, fleet.suite.tempDir);
    lowest = chain.backups.at(0)?.id ?? '';
    top = chain.backups.at(-1)?.id ?? '';
  });
  after(() => fleet.close());

  const ask = (verify?: boolean, allowDamaged?: boolean) =>
    codeOf(
      acceptRestore(fleet.accept, {
        backup_id: top,
        target: { type: 'file', path: join(fleet.restores, 'x.raw') },
        format: 'raw',
        ...(verify === undefined ? {} : { verify }),
        ...(allowDamaged === undefined ? {} : { allow_damaged: allowDamaged }),
      }),
    );
  const mark = (id: string, health: string) =>
    fleet.suite.ds.query('UPDATE backup_jobs SET health = ? WHERE id = ?', [health, id]);
  const jobs = async (): Promise<number> => {
    const rows = await fleet.suite.ds.query<{ n: string }[]>('SELECT COUNT(*) AS n FROM restore_jobs');
    return Number(rows[0]?.n);
  };

  it('is refused at once, and not as a failed job, where a backup far below is damaged', async () => {
    await mark(lowest, 'damaged');
    expect(await ask()).to.equal('backup_damaged');
    expect(await ask(false)).to.equal('backup_damaged');
    expect(await ask(true, false)).to.equal('backup_damaged');
    expect(await jobs()).to.equal(0);
  });

  it('is refused at once where its target lies in a repository, of whatever pool', async () => {
    const { ds } = fleet.suite;
    const [row] = await ds.query<{ root_path: string; pool: string }[]>(
      'SELECT root_path, pool FROM repositories WHERE id = ?',
      [chain.repositoryId],
    );
    const root = join(fleet.restores, 'repository');
    await ds.query(`UPDATE repositories SET root_path = ?, pool = 'elsewhere' WHERE id = ?`, [
      root,
      chain.repositoryId,
    ]);
    const path = join(root, 'x.raw');
    const target = { type: 'file', path } as const;
    const asked = acceptRestore(fleet.accept, { backup_id: top, target, format: 'raw' });
    expect(await codeOf(asked)).to.equal('path_not_allowed');
    await ds.query('UPDATE repositories SET root_path = ?, pool = ? WHERE id = ?', [
      row?.root_path,
      row?.pool,
      chain.repositoryId,
    ]);
    expect(await jobs()).to.equal(0);
  });

  it('although it is damaged is accepted where that is allowed, to be read back', async () => {
    expect(await ask(false, true)).to.equal('invalid_request');
    expect(await jobs()).to.equal(0);
    expect(await ask(true, true)).to.equal('no error');
    expect(await jobs()).to.equal(1);
    await fleet.suite.ds.query('DELETE FROM restore_jobs');
  });

  it('of a suspect lineage is accepted where it will be proved, as it is by default, and else refused', async () => {
    await mark(lowest, 'suspect');
    await mark(top, 'suspect');
    expect(await ask(false)).to.equal('backup_damaged');
    expect(await jobs()).to.equal(0);
    expect(await ask()).to.equal('no error');
    expect(await ask(true)).to.equal('no error');
    expect(await jobs()).to.equal(2);
  });

  it('is refused where the catalogue does not lead to a full', async () => {
    await fleet.suite.ds.query(
      `UPDATE backup_jobs SET status = 'expired', file_removed_at = UTC_TIMESTAMP(3) WHERE id = ?`,
      [lowest],
    );
    expect(await ask()).to.equal('backup_damaged');
  });
});
