import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { QueueKind } from '../../src/queue/catalogue.js';
import type { TestFleet } from './fleet.js';

/** A real worker process on the fleet's database and Redis. */
export interface WorkerProcess {
  child: ChildProcess;
  /** What it logged. */
  output(): string;
  /** Settles when the process is gone, with the signal that ended it. */
  gone: Promise<NodeJS.Signals | null>;
  /** SIGTERM, and SIGKILL if that is not enough. */
  stop(): Promise<void>;
}

const compiled = (path: string) => fileURLToPath(new URL(`../../${path}`, import.meta.url));

/** Starts `worker.js --queue <kind>`; it dies with the test process. `env` adds to its environment. */
export function startWorkerProcess(
  fleet: TestFleet,
  kind: QueueKind,
  env: Record<string, string> = {},
): WorkerProcess {
  const preload =
    env.STRATA_TEST_KILL_AT === undefined ? [] : ['--import', compiled('test/helpers/killAt.js')];
  const child = spawn(
    'setpriv',
    [
      '--pdeathsig',
      'KILL',
      '--',
      process.execPath,
      ...preload,
      compiled('src/main/worker.js'),
      '--queue',
      kind,
    ],
    {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        PATH: process.env.PATH,
        TMPDIR: process.env.TMPDIR,
        STRATA_TEST_RUN: process.env.STRATA_TEST_RUN,
        STRATA_DATA_DIR: fleet.suite.tempDir,
        STRATA_DATABASE_URL: fleet.suite.databaseUrl,
        STRATA_REDIS_URL: fleet.suite.redisUrl,
        STRATA_REDIS_PREFIX: fleet.suite.queuePrefix,
        STRATA_SOURCE_ROOTS: fleet.sources,
        STRATA_RESTORE_ROOTS: fleet.restores,
        STRATA_NBD_ALLOW: fleet.services.sourcePolicy.nbdAllow.join(','),
        STRATA_LEASE_MS: String(fleet.worker.lease.leaseMs),
        STRATA_LEASE_RENEW_MS: String(fleet.worker.lease.renewEveryMs),
        STRATA_GRACE_MS: '1000',
        ...env,
      },
    },
  );
  let text = '';
  for (const stream of [child.stdout, child.stderr])
    stream?.on('data', (chunk: Buffer) => (text += chunk.toString()));
  const gone = once(child, 'exit').then(([, signal]) => signal as NodeJS.Signals | null);
  return {
    child,
    output: () => text,
    gone,
    stop: async () => {
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), 15_000);
      await gone;
      clearTimeout(timer);
    },
  };
}
