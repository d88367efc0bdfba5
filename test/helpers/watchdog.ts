// Waits until the test run has ended (its end of our standard input closes, even by SIGKILL), then kills what it left
// and removes its directories. Runs as a process of its own: see testRun.ts.
import { rm, rmdir } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
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
const REMOVAL = { recursive: true, force: true, maxRetries: 5, retryDelay: 200 };
for (const directory of more) {
  if (directory === id) continue;
  await rm(directory, REMOVAL);
  await removeEmptyAbove(directory);
}
await rm(id, REMOVAL);

/** What lies above the directories of runs was made for them, and goes with the last; up to that of a run around this one. */
async function removeEmptyAbove(directory: string): Promise<void> {
  try {
    for (let path = dirname(directory); !basename(path).startsWith('st-'); path = dirname(path))
      await rmdir(path);
  } catch (error) {
    // It is not empty, or it is where the file system is mounted.
    if (errnoOf(error) === undefined) throw error;
  }
}
