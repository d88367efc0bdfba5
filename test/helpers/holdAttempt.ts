// Changes the protection of a backup in a process of its own, which is killed somewhere: see test/crash/killedHold.test.ts.
import { openDatabase } from '../../src/db/dataSource.js';
import { protect } from '../../src/db/chain/protect.js';
import { recordHolds } from '../../src/services/protection/holds.js';

const [socketPath, user, name, id, rootPath, backupId, until] = process.argv.slice(2);
if (!socketPath || !user || !name || !id || !rootPath || !backupId) throw new Error('Arguments are missing.');

const ds = await openDatabase({ address: { socketPath, user, name } });
await protect(ds, { column: 'id', id: backupId }, until === undefined ? null : new Date(until));
await recordHolds({ ds, repository: { id, rootPath }, signal: new AbortController().signal });
await ds.destroy();
