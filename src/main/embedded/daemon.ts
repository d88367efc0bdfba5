import { spawn } from 'node:child_process';
import { open } from 'node:fs/promises';
import { systemClock } from '../../shared/clock.js';
import { throwIfAborted } from '../../shared/abort.js';
import { StrataError } from '../../shared/errors.js';
import { logTail } from './logTail.js';
import { isRunning } from './processes.js';

const POLL_MS = 50;

/**
 * Starts a server that outlives this process: own session, no terminal, output appended to a log file, and files
 * that nobody else may read. The shell only sets the umask; it is replaced by the server, whose pid this returns.
 */
export async function launchDaemon(
  path: string,
  args: readonly string[],
  files: { workingDir: string; logFile: string },
): Promise<number> {
  const log = await open(files.logFile, 'a', 0o600);
  try {
    const child = spawn('/bin/sh', ['-c', 'umask 077; exec "$0" "$@"', path, ...args], {
      cwd: files.workingDir,
      detached: true,
      stdio: ['ignore', log.fd, log.fd],
    });
    await new Promise<void>((resolve, reject) => {
      child.once('spawn', resolve);
      child.once('error', reject);
    });
    child.unref();
    if (child.pid === undefined)
      throw new StrataError('service_failed', `${path} was started without a pid.`);
    return child.pid;
  } finally {
    await log.close();
  }
}

export interface HealthWait {
  service: string;
  pid: number;
  logFile: string;
  /** Milliseconds until the server must answer. */
  timeoutMs: number;
  signal: AbortSignal | undefined;
  /** One attempt to talk to the server: resolves when it answers as it should, rejects otherwise. */
  ping: () => Promise<void>;
}

/**
 * Waits until a server answers.
 * @throws service_failed with the end of its log when it ends first, or does not answer in time
 */
export async function waitUntilHealthy(wait: HealthWait): Promise<void> {
  const deadline = systemClock.monotonicMs() + wait.timeoutMs;
  for (;;) {
    throwIfAborted(wait.signal);
    const failure = await wait.ping().then(
      () => undefined,
      (error: unknown) => ({ error }),
    );
    if (!failure) return;
    const ended = !(await isRunning(wait.pid));
    if (ended || systemClock.monotonicMs() >= deadline) throw await unhealthy(wait, ended, failure.error);
    await systemClock.sleep(POLL_MS, wait.signal);
  }
}

async function unhealthy(wait: HealthWait, ended: boolean, cause: unknown): Promise<StrataError> {
  const what = ended
    ? 'ended right after its start'
    : `(pid ${wait.pid}) does not answer after ${wait.timeoutMs} ms`;
  return new StrataError(
    'service_failed',
    `The embedded ${wait.service} ${what}. The end of ${wait.logFile}:\n${await logTail(wait.logFile)}`,
    { cause, details: { service: wait.service, log_file: wait.logFile } },
  );
}
