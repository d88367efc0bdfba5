import { type JobStatus } from '../../../src/shared/jobs.js';
import { expect } from 'chai';
import { commitBackup } from '../../../src/db/job/commitBackup.js';
import { acquireLease } from '../../../src/db/job/acquire.js';
import type { ChainLease } from '../../../src/db/job/lease.js';
import { cancelJob, endUnsuccessfully, releaseAgain, yieldChain } from '../../../src/db/job/settle.js';
import { type DatabaseSuite, openDatabaseSuite } from '../../helpers/openSuite.js';
import { addVm, publishedFull } from '../../helpers/rows.js';

const LEASE_MS = 60_000;

describe('The states of a job', () => {
  let suite: DatabaseSuite;
  before(async () => {
    suite = await openDatabaseSuite();
  });
  after(() => suite.close());

  const all: JobStatus[] = ['queued', 'released', 'running', 'completed', 'failed', 'cancelled', 'expired'];
  const verbs: Record<
    string,
    { from: JobStatus[]; run: (id: string, lease: ChainLease) => Promise<unknown> }
  > = {
    acquire: {
      from: ['released', 'running'],
      run: async (id) => {
        const { outcome } = await acquireLease(suite.ds, {
          kind: 'backup',
          jobId: id,
          delivery: 1,
          owner: 'a',
          leaseMs: LEASE_MS,
        });
        if (outcome !== 'acquired') throw new Error(outcome);
      },
    },
    commit: { from: ['running'], run: (id, lease) => commitBackup(suite.ds, lease, publishedFull(id)) },
    fail: {
      from: ['running'],
      run: (_id, lease) => endUnsuccessfully(suite.ds, lease, 'failed', { code: 'internal', detail: '' }),
    },
    handBack: {
      from: ['running'],
      run: (_id, lease) =>
        releaseAgain(suite.ds, lease, {
          delayMs: 0,
          keepAttempt: true,
          failure: { code: 'internal', detail: '' },
        }),
    },
    yieldChain: {
      from: ['running'],
      run: (_id, lease) => yieldChain(suite.ds, lease, { code: 'chain_wanted', detail: '' }),
    },
    cancel: {
      from: ['queued', 'released', 'running'],
      run: async (id) => {
        if (!(await cancelJob(suite.ds, 'backup', id)).accepted) throw new Error('refused');
      },
    },
  };

  for (const [verb, { from, run }] of Object.entries(verbs)) {
    it(`allow "${verb}" from ${from.join(', ')} only, and a refused one changes nothing`, async () => {
      for (const status of all) {
        const { ids, insertBackup } = await addVm(suite.ds, `${verb}-${status}`);
        const full = status === 'completed' || status === 'expired' ? 'full' : null;
        const id = await insertBackup({ type: full, status, parent: null, fence: 0 });
        const lease: ChainLease = {
          chainId: ids.chainId,
          jobId: id,
          kind: 'backup',
          owner: 'a',
          fence: 1,
          attempt: 1,
          deaths: 0,
          failedBefore: false,
          repositoryId: ids.repositoryId,
        };
        if (verb !== 'acquire') {
          await suite.ds.query("UPDATE backup_chains SET fence = 1, lease_owner = 'a' WHERE id = ?", [
            ids.chainId,
          ]);
          await suite.ds.query('UPDATE backup_jobs SET fence = 1 WHERE id = ?', [id]);
        }
        const before = await suite.ds.query<unknown[]>('SELECT * FROM backup_jobs WHERE id = ?', [id]);
        const outcome = await run(id, lease).then(
          () => 'allowed',
          () => 'refused',
        );
        expect(outcome, `${verb} from ${status}`).to.equal(from.includes(status) ? 'allowed' : 'refused');
        if (outcome === 'refused') {
          expect(
            await suite.ds.query<unknown[]>('SELECT * FROM backup_jobs WHERE id = ?', [id]),
          ).to.deep.equal(before);
        }
      }
    });
  }
});
