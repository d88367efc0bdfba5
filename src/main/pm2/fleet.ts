import { fileURLToPath } from 'node:url';
import { withDirectoryLock } from '../embedded/lock.js';
import { readEmbeddedPaths, removeSocketDir } from '../embedded/paths.js';
import { endProcesses, waitUntilGone } from '../embedded/processes.js';
import { runPm2 } from './cli.js';
import { type Pm2Home, pm2HomeIn, preparePm2Home, removeStaleFiles } from './home.js';
import { daemonAnswers, findDaemons, findOrphans } from './processes.js';
import { waitUntilReady } from './ready.js';
import { type FleetProcess, readFleet } from './status.js';

export interface FleetOptions {
  dataDir: string;
  /** The whole environment for PM2 and the processes: the caller's own (PATH!) with the STRATA_* variables. */
  env: NodeJS.ProcessEnv;
  /** Polled until it answers 200, such as `http://127.0.0.1:8080/readyz`. Without it, PM2's `online` must do. */
  readyUrl?: string;
  /** The PM2 configuration; the project's own by default. */
  ecosystem?: string;
  log?: (line: string) => void;
  signal?: AbortSignal | undefined;
}

export interface FleetStatus {
  daemon: 'running' | 'stopped';
  processes: FleetProcess[];
}

const ECOSYSTEM = fileURLToPath(new URL('../../../../ecosystem.config.js', import.meta.url));
/** A reload waits for every process to hand its jobs back, which may take its whole `kill_timeout`. */
const PM2_TIMEOUT_MS = 300_000;
const LOCK_TIMEOUT_MS = 330_000;
const DAEMON_EXIT_MS = 10_000;
/** Above the grace time of the processes, which give their jobs back before they end. */
const ORPHAN_GRACE_MS = 60_000;

/**
 * Starts the fleet of a data directory under its own PM2 daemon, or reloads it with the new environment when it runs.
 * What a killed daemon left behind (processes, sockets, pid files) is cleared first.
 * @throws service_failed when PM2 fails, a process does not come up, or `readyUrl` does not answer, with the logs' ends
 */
export async function startFleet(options: FleetOptions): Promise<FleetStatus> {
  const log = options.log ?? (() => undefined);
  const home = await preparePm2Home(options.dataDir);
  return withDirectoryLock(lockOf(home, options.signal), async () => {
    await clearRemains(home, log);
    const call = { env: options.env, timeoutMs: PM2_TIMEOUT_MS, signal: options.signal };
    await runPm2(home, ['startOrReload', options.ecosystem ?? ECOSYSTEM], call);
    const processes = await waitUntilReady({
      readyUrl: options.readyUrl,
      signal: options.signal,
      readProcesses: () => readFleet(home, options.env, options.signal),
    });
    log(`${processes.length} processes run under PM2 (PM2_HOME=${home.home}).`);
    return { daemon: 'running', processes };
  });
}

/** Stops all processes of the fleet, each with its grace time, and the PM2 daemon. Nothing remains. */
export async function stopFleet(options: {
  dataDir: string;
  env: NodeJS.ProcessEnv;
  log?: (line: string) => void;
  signal?: AbortSignal | undefined;
}): Promise<void> {
  const log = options.log ?? (() => undefined);
  const home = await preparePm2Home(options.dataDir);
  await withDirectoryLock(lockOf(home, options.signal), async () => {
    if (await daemonAnswers(home)) {
      const daemons = await findDaemons(home);
      await runPm2(home, ['kill'], { env: options.env, timeoutMs: PM2_TIMEOUT_MS, signal: options.signal });
      await waitUntilGone(daemons, DAEMON_EXIT_MS);
    }
    await clearRemains(home, log);
    await removeSocketDir(home.paths);
  });
}

/** What PM2 says about the fleet; starts no daemon when none runs. */
export async function fleetStatus(options: {
  dataDir: string;
  env: NodeJS.ProcessEnv;
  signal?: AbortSignal | undefined;
}): Promise<FleetStatus> {
  const home = pm2HomeIn(await readEmbeddedPaths(options.dataDir));
  if (!(await daemonAnswers(home))) return { daemon: 'stopped', processes: [] };
  return { daemon: 'running', processes: await readFleet(home, options.env, options.signal) };
}

function lockOf(home: Pm2Home, signal: AbortSignal | undefined) {
  return { runDir: home.runDir, purpose: 'fleet', timeoutMs: LOCK_TIMEOUT_MS, signal };
}

/**
 * Ends what nobody controls: daemons that do not answer or have a double (a PM2 call in the moment of a daemon's death
 * starts a second one), and processes that have lost their daemon. Then removes the files of dead daemons.
 */
async function clearRemains(home: Pm2Home, log: (line: string) => void): Promise<void> {
  const daemons = await findDaemons(home);
  const healthy = daemons.length === 1 && (await daemonAnswers(home));
  // The daemon first: while it lives, it starts again what is ended.
  if (!healthy) await endProcesses(daemons, DAEMON_EXIT_MS, log);
  const orphans = await findOrphans(home, healthy ? daemons : []);
  if (orphans.length > 0) log(`Ending processes ${orphans.join(', ')}, which have lost their PM2 daemon.`);
  await endProcesses(orphans, ORPHAN_GRACE_MS, log);
  if (!healthy) await removeStaleFiles(home);
}
