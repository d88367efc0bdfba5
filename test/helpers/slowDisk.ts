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
  const server = await startNbdkit('--filter=rate', 'file', disk, `rate=${SLOW}`, `rate-file=${rateFile}`);
  return { ...server, slow: () => set(SLOW), hurry: () => set(FAST) };
}
