// Rebuilds a catalogue in a process of its own, which is killed somewhere: see test/crash/killedRebuild.test.ts.
import { tmpdir } from 'node:os';
import { openDatabase } from '../../src/db/dataSource.js';
import { runRebuild } from '../../src/services/rebuild/run.js';
import { underLease } from '../../src/services/job/under.js';
import { systemClock } from '../../src/shared/clock.js';
import { hold } from './chainJobs.js';

const [socketPath, user, name, jobId] = process.argv.slice(2);
if (!socketPath || !user || !name || !jobId) throw new Error('Arguments are missing.');

const ds = await openDatabase({ address: { socketPath, user, name } });
const held = await hold(ds, 'maintenance', jobId);
const deps = { ds, clock: systemClock, scratchDir: tmpdir() };
await runRebuild(underLease(deps, held, () => undefined));
await ds.destroy();
