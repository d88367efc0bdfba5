import { StrataError } from '../../shared/errors.js';
import { runPm2 } from './cli.js';
import type { Pm2Home } from './home.js';

/** One process as PM2 sees it. */
export interface FleetProcess {
  name: string;
  /** PM2's number of the process in its home. */
  id: number;
  /** 0 when it does not run. */
  pid: number;
  /** `online`, `launching`, `stopping`, `stopped`, `errored` or `waiting restart`. */
  status: string;
  restarts: number;
  memoryBytes: number;
  outputLog: string;
  errorLog: string;
}

const LIST_TIMEOUT_MS = 30_000;

/**
 * Asks the running daemon for its processes.
 * @throws service_failed when its answer is not the list that PM2 7 prints
 */
export async function readFleet(
  home: Pm2Home,
  env: NodeJS.ProcessEnv,
  signal: AbortSignal | undefined,
): Promise<FleetProcess[]> {
  const output = await runPm2(home, ['jlist', '--silent'], { env, timeoutMs: LIST_TIMEOUT_MS, signal });
  // Warnings of Node or PM2 may stand before the list, which is one line.
  const line = output
    .split('\n')
    .findLast((row) => row.startsWith('['))
    ?.trim();
  try {
    const entries: unknown = JSON.parse(line ?? '');
    if (Array.isArray(entries)) return entries.map(toFleetProcess);
  } catch (error) {
    throw new StrataError('service_failed', 'pm2 jlist did not print a list.', { cause: error });
  }
  throw new StrataError('service_failed', 'pm2 jlist did not print a list.');
}

function toFleetProcess(entry: unknown): FleetProcess {
  const fields = asRecord(entry);
  const env = asRecord(fields['pm2_env']);
  return {
    name: text(fields['name']),
    id: Number(fields['pm_id']),
    pid: Number(fields['pid'] ?? 0),
    status: text(env['status']),
    restarts: Number(env['restart_time'] ?? 0),
    memoryBytes: Number(asRecord(fields['monit'])['memory'] ?? 0),
    outputLog: text(env['pm_out_log_path']),
    errorLog: text(env['pm_err_log_path']),
  };
}

function asRecord(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? { ...value } : {};
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
