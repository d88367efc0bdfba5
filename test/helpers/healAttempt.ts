// One attempt of a backup in a process of its own, which is killed somewhere: see test/crash/killedHealing.test.ts.
import { openDatabase } from '../../src/db/dataSource.js';
import { attemptBackup } from './backupService.js';

const [socketPath, user, name, jobId, sources] = process.argv.slice(2);
if (!socketPath || !user || !name || !jobId || !sources) throw new Error('Arguments are missing.');

const ds = await openDatabase({ address: { socketPath, user, name } });
await attemptBackup(ds, jobId, sources);
await ds.destroy();
