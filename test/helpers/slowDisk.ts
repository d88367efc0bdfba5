import { rename, writeFile } from 'node:fs/promises';
import { type NbdServer, startNbdkit } from './nbdServers.js';

/** A raw disk behind NBD that takes its time, so that every copy of it has a middle. */
export interface SlowDisk extends NbdServer {
  /** A quarter of a MiB in a second, after the first half MiB. Requests that wait already keep their time. */
  slow(): Promise<void>;
  /** As fast as it goes, from the next connection on. */
  hurry(): Promise<void>;
}

const SLOW = '2M';
const FAST = '8G';

/** Serves a raw disk, slowly at first. The file with the rate lies beside the disk. */
export async function startSlowDisk(disk: string): Promise<SlowDisk> {
  const rateFile = `${disk}.rate`;
  // The server reads it whenever it likes, and must not find half of it.
  const set = async (rate: string) => {
    await writeFile(`${rateFile}.new`, rate);
    await rename(`${rateFile}.new`, rateFile);
  };
  await set(SLOW);
  const rate = ['--filter=rate', 'file', disk, `rate=${SLOW}`, `rate-file=${rateFile}`];
  // nbdkit 1.32.5 may abort where a client leaves while several of its threads owe it an answer ("raw_send_socket:
  // Assertion `sock >= 0' failed"): 2 of 25 killed copies took the server along, and so the source of the next attempt.
  const server = await startNbdkit('--threads', '1', ...rate);
  return { ...server, slow: () => set(SLOW), hurry: () => set(FAST) };
}
