import { readdir, readFile } from 'node:fs/promises';

/** Looks within the time after which a tool counts as stalled. Looks are counted and not time: a host that slept has slept. */
const LOOKS = 5;

export interface StallLimit {
  /** Milliseconds. */
  afterMs: number;
  error: () => Error;
}

/**
 * Stops, once, a process that has done nothing at all for a while: its main thread, in which a QEMU tool takes every
 * answer and every finished read or write, has not run once. A process that waits for a disk (state D in proc(5): a
 * network file system that hangs) does not count as stalled.
 * @param limit undefined for a tool that may take its time
 * @returns a function that ends the watch; it must be called, or the timer keeps the process alive
 */
export function watchStall(
  pid: number | undefined,
  limit: StallLimit | undefined,
  stop: (reason: Error) => void,
): () => void {
  if (pid === undefined || limit === undefined) return () => undefined;
  let seen = '';
  let still = 0;
  let looking = false;
  const look = async () => {
    const now = await turns(pid);
    still = now === undefined || now !== seen ? 0 : still + 1;
    seen = now ?? '';
    if (still < LOOKS) return;
    clearInterval(timer);
    stop(limit.error());
  };
  const timer = setInterval(() => {
    if (looking) return;
    looking = true;
    look()
      // The process is gone, or nearly: whoever started it learns of that.
      .catch(() => clearInterval(timer))
      .finally(() => {
        looking = false;
      });
  }, limit.afterMs / LOOKS);
  return () => clearInterval(timer);
}

/** What changes each time that the main thread goes to sleep; undefined while any thread waits for a disk. */
async function turns(pid: number): Promise<string | undefined> {
  const tasks = await readdir(`/proc/${pid}/task`);
  const states = await Promise.all(tasks.map((task) => stateOf(`/proc/${pid}/task/${task}/status`)));
  if (states.includes('D')) return undefined;
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return /^voluntary_ctxt_switches:.*$/m.exec(status)?.[0];
}

/** One letter of proc(5); nothing for a thread that has ended since it was listed. */
async function stateOf(path: string): Promise<string | undefined> {
  const text = await readFile(path, 'utf8').catch(() => '');
  return /^State:\s+(\w)/m.exec(text)?.[1];
}
