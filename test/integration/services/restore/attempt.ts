// One attempt of a restore job in a process of its own, which kills itself when it comes to a step: see crash.test.ts.
import { mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import { openDatabase } from '../../../../src/db/dataSource.js';
import { runRestore } from '../../../../src/services/restore/run.js';
import { systemClock } from '../../../../src/shared/clock.js';
import { hold } from '../../../helpers/chainJobs.js';
import { underLease } from '../../../../src/services/job/under.js';

const [socketPath, user, name, jobId, target, tempDir, step] = process.argv.slice(2);
if (!socketPath || !user || !name || !jobId || !target || !tempDir) throw new Error('Arguments are missing.');

const dieAt = (at: string): void => {
  if (at === step) process.kill(process.pid, 'SIGKILL');
};

const ds = await openDatabase({ address: { socketPath, user, name } });
const held = await hold(ds, 'restore', jobId);
dieAt('held');
const under = underLease(
  { ds, clock: systemClock, scratchDir: await mkdtemp(join(tempDir, 's-')), restoreRoots: [target] },
  {
    ...held,
    assertHeld: async () => {
      dieAt('publishing');
      await held.assertHeld();
      // The name is given, and then the commit finds a newer fence: as far as a process comes that dies in between.
      if (step === 'published')
        await ds.query('UPDATE backup_chains SET fence = fence + 1 WHERE id = ?', [held.lease.chainId]);
    },
  },
  ({ phase }) => dieAt(phase),
);
await runRestore(under).catch((error: unknown) => {
  if (step === 'published') process.kill(process.pid, 'SIGKILL');
  throw error;
});
