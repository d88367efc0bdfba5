import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Strategy } from '../../src/services/consolidation/strategy.js';
import type { MergeBench } from './mergeBench.js';

/** A process that is ready to work on a consolidation, and to be killed at it. */
export interface MergeVictim {
  child: ChildProcess;
  /** Lets it begin; settles when it is gone, with the signal that ended it and what it said. */
  run(jobId: string): Promise<{ signal: NodeJS.Signals | null; code: number | null; output: string }>;
  /** Settles when it has the lease. */
  held: Promise<unknown>;
  /** Ends it, if it has not ended. */
  dismiss(): Promise<void>;
}

const compiled = (name: string) => fileURLToPath(new URL(name, import.meta.url));

/** Starts it; it dies with the test process. @param env for killAt.ts */
export function startVictim(
  bench: MergeBench,
  strategy: Strategy,
  env: Record<string, string> = {},
): MergeVictim {
  const { databaseSocketPath, databaseUser, databaseName, tempDir } = bench.suite;
  const child = spawn(
    'setpriv',
    [
      '--pdeathsig',
      'KILL',
      '--',
      process.execPath,
      '--import',
      compiled('killAt.js'),
      compiled('mergeAttempt.js'),
      databaseSocketPath,
      databaseUser,
      databaseName,
      tempDir,
      strategy,
    ],
    {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...process.env, STRATA_TEST_KILL_ROOT: bench.chain.root, ...env },
    },
  );
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (text: Buffer) => (output += text.toString()));
  const held = once(child.stdout, 'data');
  // One that never gets there is told by its end.
  held.catch(() => undefined);
  const gone = once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]>;
  const begin = (text: string) => child.stdin.end(`${text}\n`);
  child.stdin.on('error', () => undefined);
  return {
    child,
    held,
    run: async (jobId) => {
      begin(jobId);
      const [code, signal] = await gone;
      return { code, signal, output };
    },
    dismiss: async () => {
      child.kill('SIGKILL');
      await gone;
    },
  };
}
