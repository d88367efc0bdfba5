import { isReady } from '../control/isReady.js';
import { throwIfAborted } from '../../shared/abort.js';
import { systemClock } from '../../shared/clock.js';
import { StrataError } from '../../shared/errors.js';
import { logTail } from '../embedded/logTail.js';
import type { FleetProcess } from './status.js';

const READY_TIMEOUT_MS = 90_000;
const POLL_MS = 250;
/** PM2 restarts for ever (a database may be away for long), so a start decides by itself when to call it a crash loop. */
const CRASH_LOOP_RESTARTS = 5;

export interface ReadyWait {
  readyUrl: string | undefined;
  signal: AbortSignal | undefined;
  readProcesses: () => Promise<FleetProcess[]>;
}

/**
 * Waits until all processes are online and `readyUrl`, if given, answers 200.
 * @returns the processes
 * @throws service_failed after 90 s, or as soon as a process keeps crashing, with the ends of the logs
 */
export async function waitUntilReady(wait: ReadyWait): Promise<FleetProcess[]> {
  const deadline = systemClock.monotonicMs() + READY_TIMEOUT_MS;
  const atFirst = new Map<number, number>();
  for (;;) {
    throwIfAborted(wait.signal);
    const processes = await wait.readProcesses();
    for (const { id, restarts } of processes) if (!atFirst.has(id)) atFirst.set(id, restarts);
    const online = processes.length > 0 && processes.every(({ status }) => status === 'online');
    if (online && (wait.readyUrl === undefined || (await isReady(wait.readyUrl)))) return processes;
    const crashing = processes.some(
      ({ id, status, restarts }) =>
        status === 'errored' || restarts - (atFirst.get(id) ?? 0) >= CRASH_LOOP_RESTARTS,
    );
    if (crashing || systemClock.monotonicMs() >= deadline) throw await notReady(wait, processes);
    await systemClock.sleep(POLL_MS, wait.signal);
  }
}

async function notReady(wait: ReadyWait, processes: readonly FleetProcess[]): Promise<StrataError> {
  const down = processes.filter(({ status }) => status !== 'online');
  const suspects = down.length > 0 ? down : processes.filter(({ name }) => name === 'strata-api');
  const tails = await Promise.all(
    suspects.map(async ({ name, status, errorLog, outputLog }) => {
      const [errors, output] = await Promise.all([logTail(errorLog), logTail(outputLog)]);
      return `${name} (${status}), ${outputLog}:\n${output}\n${errorLog}:\n${errors}`;
    }),
  );
  const what =
    down.length > 0
      ? `not online: ${down.map(({ name }) => name).join(', ')}`
      : `${wait.readyUrl ?? 'the fleet'} does not answer`;
  return new StrataError('service_failed', `The fleet did not become ready: ${what}.\n${tails.join('\n')}`);
}
