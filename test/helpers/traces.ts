import { readFile } from 'node:fs/promises';
import { isRunning, ownProcesses, parentOf, type ProcessEntry } from '../../src/main/embedded/processes.js';

/** The tools that a process has started and that are alive. */
export async function toolsOf(pid: number): Promise<ProcessEntry[]> {
  const found: ProcessEntry[] = [];
  for (const entry of await ownProcesses()) {
    if ((await parentOf(entry.pid)) === pid && (await isRunning(entry.pid))) found.push(entry);
  }
  return found;
}

/** SS_CONNECTED of linux/net.h, as /proc/net/unix shows it. */
const CONNECTED = '03';

/** How many clients are connected to a server's unix socket: the server's end of a connection carries its path. */
export async function clientsOf(socketPath: string): Promise<number> {
  const lines = (await readFile('/proc/net/unix', 'utf8'))
    .split('\n')
    .map((line) => line.trim().split(/\s+/));
  return lines.filter((fields) => fields[5] === CONNECTED && fields.at(-1) === socketPath).length;
}

/** Waits until `look` gives true; says how many ms that took, or fails after `mostMs`. */
export async function timeUntil(
  look: () => Promise<boolean>,
  mostMs: number,
  what: () => Promise<string> | string,
): Promise<number> {
  const since = performance.now();
  while (!(await look())) {
    if (performance.now() - since > mostMs)
      throw new Error(`In vain, for ${mostMs} ms, until ${await what()}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return performance.now() - since;
}
