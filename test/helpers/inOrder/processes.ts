import { readdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { makeScratch } from '../../../src/main/scratch.js';
import type { TestFleet } from '../fleet.js';
import { findRunProcesses } from '../runProcesses.js';
import { testRun } from '../testRun.js';

/** QEMU tools of this run that are alive. The NBD servers of tests are other programs, or excepted by pid. */
export async function processProblems(except: readonly number[]): Promise<string[]> {
  const found = await findRunProcesses(testRun.id, [testRun.watchdog.pid ?? 0, ...except], process.pid);
  return found
    .filter(({ argv }) => argv.some((word) => /^qemu-(img|nbd)$/.test(basename(word))))
    .map(({ pid, argv }) => `process ${pid} is alive: ${argv.join(' ')}`);
}

/** Sockets in the private directories of processes. A killed one cannot remove its own: the next to start does. */
export async function scratchProblems(fleet: TestFleet): Promise<string[]> {
  const { scratchDir } = fleet.services;
  const problems = (await readdir(scratchDir)).map((name) => `${scratchDir}/${name} is left`);
  const next = await makeScratch(fleet.suite.tempDir);
  try {
    const parent = dirname(next.path);
    for (const name of await readdir(parent)) {
      const left = await readdir(join(parent, name));
      problems.push(...left.map((socket) => `${name}/${socket} is left`));
    }
    return problems;
  } finally {
    await next.remove();
  }
}
