// Reconciles a chain in a process of its own, which is killed somewhere: see test/crash/killedReconcile.test.ts.
import { tmpdir } from 'node:os';
import { openDatabase } from '../../src/db/dataSource.js';
import { runReconcile } from '../../src/services/reconcile/index.js';
import { systemClock } from '../../src/shared/clock.js';
import { hold } from './chainJobs.js';
import { underLease } from '../../src/services/job/under.js';

const [socketPath, user, name, jobId] = process.argv.slice(2);
if (!socketPath || !user || !name || !jobId) throw new Error('Arguments are missing.');

const ds = await openDatabase({ address: { socketPath, user, name } });
const held = await hold(ds, 'maintenance', jobId);
const deps = { ds, clock: systemClock, scratchDir: tmpdir() };
await runReconcile(underLease(deps, held, () => undefined));
await ds.destroy();
