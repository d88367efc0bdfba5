// Waits until the test run has ended (its end of our standard input closes, even by SIGKILL), then kills what it left
// and removes its directories. Runs as a process of its own: see testRun.ts.
import { rm, rmdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { errnoOf } from '../../src/shared/errors.js';
import { unmountBelow } from './mounts.js';
import { findRunProcesses } from './runProcesses.js';

const [id, ...more] = process.argv.slice(2);
if (id === undefined) throw new Error('usage: watchdog.js <run> [directory]...');

process.stdin.resume();
await new Promise((resolve) => {
  process.stdin.once('end', resolve).once('error', resolve);
});
for (let round = 0; round < 50; round++) {
  const left = await findRunProcesses(id, [process.pid]);
  if (left.length === 0) break;
  for (const { pid } of left) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch (error) {
      // It ended by itself since it was found.
      if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
    }
  }
  await new Promise((resolve) => setTimeout(resolve, 100));
}
await unmountBelow(id);
for (const directory of [id, ...more]) {
  await rm(directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  // What lies above the other one was made for it, and perhaps for those of other runs.
  if (directory !== id) await removeEmpty(dirname(directory));
}

async function removeEmpty(directory: string): Promise<void> {
  try {
    for (let path = directory; path.split('/').length > 3; path = dirname(path)) await rmdir(path);
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
  }
}
