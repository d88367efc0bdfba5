// One validation in a process of its own, which prints the report: see asOwner.ts.
import { openDatabase } from '../../../../../src/db/dataSource.js';
import { validate } from '../support.js';

const [socketPath, user, name, chainId, repositoryId, level] = process.argv.slice(2);
if (!socketPath || !user || !name || !chainId || !repositoryId) throw new Error('Arguments are missing.');
if (level !== 'quick' && level !== 'deep') throw new Error('There is no such level.');

const ds = await openDatabase({ address: { socketPath, user, name } });
const report = await validate(ds, { chainId, repositoryId }, { level });
await ds.destroy();
process.stdout.write(JSON.stringify(report));
