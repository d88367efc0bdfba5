import { execFile } from 'node:child_process';
import { open, rm } from 'node:fs/promises';
import { promisify } from 'node:util';
import type { Timing } from './contest.js';

const DEADLINE_MS = 600_000;

/** Runs a program of the other side to its end; rejects with what it said if it fails. */
export async function run(tool: string, ...args: string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(tool, args, {
    timeout: DEADLINE_MS,
    maxBuffer: 64 * 1024 * 1024,
  });
  return stdout;
}

/** Waits until a file is on the disk. */
export async function fsync(path: string): Promise<void> {
  const file = await open(path, 'r+');
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Times the making of a file and the fsync after it; `laps.unflushed` is the time before the fsync. The file is removed. */
export async function timeFile(path: string, make: () => Promise<unknown>): Promise<Timing> {
  try {
    const began = performance.now();
    await make();
    const unflushed = performance.now() - began;
    await fsync(path);
    return { ms: performance.now() - began, laps: { unflushed } };
  } finally {
    await rm(path, { force: true });
  }
}
