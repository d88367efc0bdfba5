// One attempt of a consolidation, or of a synthetic full where the strategy is `convert`, in a process of its own, which is
// killed somewhere: see test/crash/killedMerge.test.ts.
// It connects at once and begins when it is told to, so that a test can start the next one while it looks at this one.
import { mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import { openDatabase } from '../../src/db/dataSource.js';
import type { Strategy } from '../../src/services/consolidation/strategy.js';
import {
  runConsolidation,
  runSyntheticFull,
  finishHalfSwitch,
} from '../../src/services/consolidation/index.js';
import { systemClock } from '../../src/shared/clock.js';
import { hold } from './chainJobs.js';
import { underLease } from '../../src/services/job/under.js';

const [socketPath, user, name, tempDir, strategy] = process.argv.slice(2);
if (!socketPath || !user || !name || !tempDir) throw new Error('Arguments are missing.');

const ds = await openDatabase({ address: { socketPath, user, name } });
const scratchDir = await mkdtemp(join(tempDir, 's-'));
const jobId = await new Promise<string>((resolve) => {
  process.stdin.once('data', (data: Buffer) => resolve(data.toString().trim()));
});
process.stdin.unref();
if (jobId !== '') {
  const held = await hold(ds, 'maintenance', jobId);
  process.stdout.write('held\n');
  const under = underLease({ ds, clock: systemClock, scratchDir }, held, () => undefined);
  await finishHalfSwitch(under);
  if (strategy === 'convert') await runSyntheticFull(under);
  else await runConsolidation(under, strategy as Strategy);
}
await ds.destroy();
