import { readdir, readlink } from 'node:fs/promises';
import { findRunProcesses } from './runProcesses.js';
import { leftDatabases } from './services.js';
import { testRun } from './testRun.js';

/** What keeps an event loop alive and belongs to whoever opened it; timers and requests end by themselves. */
const HANDLES = ['TCPServerWrap', 'TCPSocketWrap', 'PipeServerWrap', 'PipeWrap', 'UDPWrap', 'ProcessWrap'];
/** A child that was told to end may need a moment; so may a socket whose closing was not awaited by its library. */
const GRACE_MS = 3000;
const POLL_MS = 100;

/** The number of open handles of each kind. */
export function countHandles(): Map<string, number> {
  const counts = new Map<string, number>();
  for (const kind of process.getActiveResourcesInfo()) {
    if (HANDLES.includes(kind)) counts.set(kind, (counts.get(kind) ?? 0) + 1);
  }
  return counts;
}

/** Names the suites' databases that were left behind; ask while the services still run. */
export async function findDatabaseLeaks(): Promise<string[]> {
  return (await leftDatabases()).map((name) => `database ${name}`);
}

/**
 * Names the processes, sockets, open files and temporary files that the tests left behind; empty when there are none.
 * Call it when the services have ended.
 * @param before the handles that were open before the first test
 */
export async function findLeaks(before: ReadonlyMap<string, number>): Promise<string[]> {
  const deadline = performance.now() + GRACE_MS;
  for (;;) {
    const leaks = [
      ...(await processLeaks()),
      ...handleLeaks(before),
      ...(await openFileLeaks()),
      ...(await fileLeaks()),
    ];
    if (leaks.length === 0 || performance.now() >= deadline) return leaks;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

async function processLeaks(): Promise<string[]> {
  const left = await findRunProcesses(testRun.id, [testRun.watchdog.pid ?? 0], process.pid);
  return left.map(({ pid, argv }) => `process ${pid}: ${argv.join(' ')}`);
}

function handleLeaks(before: ReadonlyMap<string, number>): string[] {
  return [...countHandles()]
    .filter(([kind, count]) => count > (before.get(kind) ?? 0))
    .map(([kind, count]) => `${count - (before.get(kind) ?? 0)} open handle(s) of kind ${kind}`);
}

async function openFileLeaks(): Promise<string[]> {
  const descriptors = await readdir('/proc/self/fd');
  const targets = await Promise.allSettled(descriptors.map((fd) => readlink(`/proc/self/fd/${fd}`)));
  return targets
    .filter((target) => target.status === 'fulfilled')
    .filter(({ value }) => value.startsWith(testRun.dir))
    .map(({ value }) => `open file ${value}`);
}

async function fileLeaks(): Promise<string[]> {
  const directories = [...new Set([testRun.dir, testRun.serverDir])];
  const found = directories.map(async (directory) =>
    (await readdir(directory)).map((name) => `file ${directory}/${name}`),
  );
  return (await Promise.all(found)).flat();
}
