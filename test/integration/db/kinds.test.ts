import { expect } from 'chai';
import { KIND_FACTS, OPEN, type OverKinds } from '../../../src/db/job/kinds.js';
import { selectFirstOpen, selectTurnCandidates } from '../../../src/db/job/openJobs.js';
import { selectInFront } from '../../../src/db/job/position.js';
import { selectHeadless } from '../../../src/db/job/sweep.js';
import { selectFront } from '../../../src/db/job/waitingFor.js';
import { JOB_KINDS, OPEN_STATES } from '../../../src/shared/jobs.js';
import { type DatabaseSuite, openDatabaseSuite } from '../../helpers/openSuite.js';
import { addVm } from '../../helpers/rows.js';

/** A kind of job that Strata does not have, which only reads. */
const KINDS = {
  ...KIND_FACTS,
  export: {
    table: 'export_jobs',
    prefix: 'run',
    reads: 'TRUE',
    otherwise: 'changes',
    awaitsExtents: 'FALSE',
  },
} as const;

describe('The statements over all kinds of jobs', () => {
  let suite: DatabaseSuite;
  let chainId: string;
  before(async () => {
    suite = await openDatabaseSuite();
    const { ids } = await addVm(suite.ds, 'kinds');
    ({ chainId } = ids);
    await suite.ds.query('CREATE TABLE export_jobs LIKE restore_jobs');
    await suite.ds.query(
      `INSERT INTO export_jobs (id, chain_id, seq, status, created_at, repository_id, backup_id, target, format)
       VALUES ('exp_1', ?, 7, 'queued', UTC_TIMESTAMP(3), ?, 'none', '{}', 'raw')`,
      [chainId, ids.repositoryId],
    );
  });
  after(async () => {
    await suite.ds.query('DROP TABLE export_jobs');
    await suite.close();
  });
  const ask = ({ sql, times }: OverKinds) =>
    suite.ds.query<Record<string, unknown>[]>(
      sql,
      Array.from({ length: times }, () => chainId),
    );

  it('see a job of a fourth kind as soon as the catalogue of kinds has it', async () => {
    const [inFront] = await ask(selectInFront(KINDS));
    expect(Number(inFront?.['export'])).to.equal(1);
    const found = { kind: 'export', id: 'exp_1', seq: '7', effect: 'reads' };
    for (const statement of [selectFirstOpen(KINDS), selectTurnCandidates(KINDS)]) {
      const rows = await ask(statement);
      expect(rows.map(({ kind, id, seq, effect }) => ({ kind, id, seq: String(seq), effect }))).to.deep.equal(
        [found],
      );
    }
    expect((await ask(selectFront(KINDS))).map(({ id }) => id)).to.deep.equal(['exp_1']);
    const headless = await suite.ds.query<unknown[]>(selectHeadless(KINDS));
    expect(headless).to.deep.equal([{ chain_id: chainId }]);
  });

  it('give a job of a fourth kind that does not read the turn in its order', async () => {
    const merging = { ...KINDS, export: { ...KINDS.export, reads: 'FALSE' } };
    const [job] = await ask(selectTurnCandidates(merging));
    expect(job).to.include({ id: 'exp_1', effect: 'changes' });
  });

  it('name each kind of today, and take the open states from one list', async () => {
    expect(Object.keys(KIND_FACTS)).to.have.members([...JOB_KINDS]);
    expect(OPEN).to.equal("('queued', 'released', 'running')");
    expect(OPEN_STATES).to.have.length(3);
    const [inFront] = await ask(selectInFront());
    expect(Object.keys(inFront ?? {})).to.have.members([...JOB_KINDS]);
  });
});
