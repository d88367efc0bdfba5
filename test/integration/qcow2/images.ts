import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdtemp, open, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { expect } from 'chai';
import type { ErrorCode } from '../../../src/shared/errorCodes.js';
import { StrataError } from '../../../src/shared/errors.js';

export const run = promisify(execFile);
export const MiB = 1024 ** 2;

/** An empty directory, and how to remove it. */
export async function tempDir(): Promise<{
  dir: string;
  at: (name: string) => string;
  remove: () => Promise<void>;
}> {
  const dir = await mkdtemp(join(tmpdir(), 'q-'));
  return { dir, at: (name) => join(dir, name), remove: () => rm(dir, { recursive: true, force: true }) };
}

/** Writes a pattern byte into a QCOW2 image as a guest would. */
export async function guestWrite(
  path: string,
  pattern: number,
  offset: number,
  length: number,
): Promise<void> {
  await run('qemu-io', ['-f', 'qcow2', '-c', `write -P ${pattern} ${offset} ${length}`, path]);
}

/** Fails unless a range of the image reads as the pattern byte. */
export async function guestRead(
  path: string,
  pattern: number,
  offset: number,
  length: number,
): Promise<void> {
  const { stdout } = await run('qemu-io', [
    '-r',
    '-f',
    'qcow2',
    '-c',
    `read -P ${pattern} ${offset} ${length}`,
    path,
  ]);
  expect(stdout).to.contain(`read ${length}/${length}`).and.not.to.contain('Pattern verification failed');
}

/** A raw image of random bytes. */
export async function randomImage(path: string, bytes: number): Promise<void> {
  const file = await open(path, 'wx');
  for (let written = 0; written < bytes; written += MiB)
    await file.write(randomBytes(Math.min(MiB, bytes - written)));
  await file.close();
}

/** Overwrites bytes of a file. */
export async function patch(path: string, offset: number, bytes: Buffer): Promise<void> {
  const file = await open(path, 'r+');
  await file.write(bytes, 0, bytes.length, offset);
  await file.close();
}

/** The error that a promise rejects with; fails if it does not reject with a StrataError of the code. */
export async function rejection(work: Promise<unknown>, code: ErrorCode): Promise<StrataError> {
  const error = await failureOf(work);
  if (!(error instanceof StrataError)) throw new Error('not a StrataError', { cause: error });
  expect(error.code, error.message).to.equal(code);
  return error;
}

/** Whatever a promise rejects with. */
export async function failureOf(work: Promise<unknown>): Promise<unknown> {
  const settled = await work.then(
    () => undefined,
    (error: unknown) => ({ error }),
  );
  if (settled === undefined) throw new Error('The call succeeded.');
  return settled.error;
}

/** The children of a process; a child that has ended but was not waited for does not count. */
export async function childrenOf(pid: number): Promise<number[]> {
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8');
  const pids = text.trim() === '' ? [] : text.trim().split(' ').map(Number);
  const alive = await Promise.all(pids.map(async (child) => ({ child, alive: await isAlive(child) })));
  return alive.filter(({ alive }) => alive).map(({ child }) => child);
}

export async function isAlive(pid: number): Promise<boolean> {
  if (!existsSync(`/proc/${pid}`)) return false;
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => ' Z ');
  return !/\) [ZX] /.test(stat) && stat !== ' Z ';
}

/** The command line of a process. */
export async function commandOf(pid: number): Promise<string[]> {
  return (await readFile(`/proc/${pid}/cmdline`, 'utf8')).split('\0');
}

/** Waits until a condition holds; fails after 10 s. */
export async function until(condition: () => Promise<boolean> | boolean, what: string): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`Waited 10 s in vain until ${what}.`);
    await delay(20);
  }
}
