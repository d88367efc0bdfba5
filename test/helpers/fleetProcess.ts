import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { TestFleet } from './fleet.js';

/** A real process of the product on the fleet's database and Redis. */
export interface FleetProcess {
  child: ChildProcess;
  /** What it logged. */
  output(): string;
  /** Settles when the process is gone, with the signal that ended it. */
  gone: Promise<NodeJS.Signals | null>;
  /** Waits until it has logged this message. */
  said(message: string): Promise<void>;
  /** SIGTERM (and SIGCONT, in case it is stopped), and SIGKILL if that is not enough. */
  stop(): Promise<void>;
}

export interface ProcessOptions {
  /** Of src/main. */
  entry: 'api' | 'keeper' | 'worker';
  args?: string[];
  /** Adds to its environment. */
  env?: Record<string, string>;
  /** Modules of test/helpers that are loaded before it. */
  preload?: string[];
}

const START_MS = 30_000;
const STOP_MS = 15_000;

const compiled = (path: string) => fileURLToPath(new URL(`../../${path}`, import.meta.url));

/** Starts one of the programs of src/main; it dies with the test process. */
export function startFleetProcess(fleet: TestFleet, options: ProcessOptions): FleetProcess {
  const { entry, args = [], env = {}, preload = [] } = options;
  const imports = preload.flatMap((name) => ['--import', compiled(`test/helpers/${name}`)]);
  const child = spawn(
    'setpriv',
    ['--pdeathsig', 'KILL', '--', process.execPath, ...imports, compiled(`src/main/${entry}.js`), ...args],
    { stdio: ['ignore', 'pipe', 'pipe'], env: { ...environmentOf(fleet), ...env } },
  );
  let text = '';
  for (const stream of [child.stdout, child.stderr])
    stream?.on('data', (chunk: Buffer) => (text += chunk.toString()));
  const gone = once(child, 'exit').then(([, signal]) => signal as NodeJS.Signals | null);
  const isGone = () => child.exitCode !== null || child.signalCode !== null;
  return {
    child,
    output: () => text,
    gone,
    said: async (message) => {
      const deadline = performance.now() + START_MS;
      while (!text.includes(`"${message}"`)) {
        if (isGone() || performance.now() > deadline)
          throw new Error(`${entry} has not said "${message}":\n${text}`);
        await fleet.accept.clock.sleep(20);
      }
    },
    stop: async () => {
      child.kill('SIGTERM');
      child.kill('SIGCONT');
      const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
      await gone;
      clearTimeout(timer);
    },
  };
}

/** What a process needs to know to belong to the fleet. */
export function environmentOf(fleet: TestFleet): NodeJS.ProcessEnv {
  const { push } = fleet.services;
  return {
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
    STRATA_NBD_TIMEOUT_MS: String(fleet.services.sourcePolicy.nbdTimeoutMs ?? ''),
    STRATA_LEASE_MS: String(fleet.worker.lease.leaseMs),
    STRATA_LEASE_RENEW_MS: String(fleet.worker.lease.renewEveryMs),
    STRATA_PUSH_PORTS: `${push.ports.first}-${push.ports.last}`,
    STRATA_PUSH_SILENCE_MS: String(push.silenceMs),
    STRATA_GRACE_MS: '1000',
  };
}
