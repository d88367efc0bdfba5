// Changes the immutable days of a repository in a process of its own, which is killed somewhere: see
// test/crash/killedImmutability.test.ts.
import { openDatabase } from '../../src/db/dataSource.js';
import { createLogger } from '../../src/observability/logger.js';
import { acceptRepositoryChange } from '../../src/producers/accept/index.js';

const [socketPath, user, name, id, days] = process.argv.slice(2);
if (!socketPath || !user || !name || !id || !days) throw new Error('Arguments are missing.');

const ds = await openDatabase({ address: { socketPath, user, name } });
const log = createLogger({ level: 'silent', role: 'test' });
await acceptRepositoryChange({ ds, log }, id, { immutableDays: Number(days) });
await ds.destroy();
