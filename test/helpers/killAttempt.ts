import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import type { Suite } from './suite.js';

const compiled = (name: string) => fileURLToPath(new URL(name, import.meta.url));

export interface KillableAttempt {
  suite: Suite;
  /** Operations below this directory count. */
  root: string;
  /** A program of this folder, such as `holdAttempt.js`; it is given the database's socket, user and name, and `args`. */
  program: string;
  args: readonly string[];
}

/**
 * Runs it in a process of its own, which killAt.ts may kill; it dies with the test.
 * @param env for killAt.ts
 * @returns the signal that ended it, else what it said
 */
export async function runAttempt(
  { suite, root, program, args }: KillableAttempt,
  env: Record<string, string>,
): Promise<string> {
  const database = [suite.databaseSocketPath, suite.databaseUser, suite.databaseName];
  const node = [process.execPath, '--import', compiled('killAt.js'), compiled(program)];
  const ended = await execa('setpriv', ['--pdeathsig', 'KILL', '--', ...node, ...database, ...args], {
    env: { STRATA_TEST_KILL_ROOT: root, ...env },
    reject: false,
  });
  return ended.signal ?? ended.stderr;
}

/** Runs it to its end. @returns its operations, in order @throws Error when it was killed, or complained */
export async function operationsOf(attempt: KillableAttempt): Promise<string[]> {
  const log = join(attempt.suite.tempDir, 'operations');
  await rm(log, { force: true });
  const said = await runAttempt(attempt, { STRATA_TEST_KILL_LOG: log });
  if (said !== '') throw new Error(said);
  return (await readFile(log, 'utf8')).trim().split('\n');
}
