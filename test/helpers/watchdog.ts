// Waits until the test run has ended (its end of our standard input closes, even by SIGKILL), then kills what it left
// and removes its directory. Runs as a process of its own: see testRun.ts.
import { rm } from 'node:fs/promises';
import { unmountBelow } from './mounts.js';
import { findRunProcesses } from './runProcesses.js';

const [id] = process.argv.slice(2);
if (id === undefined) throw new Error('usage: watchdog.js <run>');

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
await rm(id, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
