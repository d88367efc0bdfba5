import { connect } from 'node:net';
import { environmentOf, ownProcesses, parentOf } from '../embedded/processes.js';
import type { Pm2Home } from './home.js';

/** How long a living daemon may take to accept a connection, in milliseconds. */
const ANSWER_MS = 3000;

/** The pids of the PM2 daemon(s) of this home. PM2 7 writes its home into its title, but not in its first moments. */
export async function findDaemons(home: Pm2Home): Promise<number[]> {
  const found = await ownProcesses();
  const daemons = found.filter(
    ({ argv }) => argv[0]?.startsWith('PM2 v') === true || argv[1]?.endsWith('/pm2/lib/Daemon.js') === true,
  );
  return withHome(home, daemons, () => true);
}

/**
 * The pids of the Node processes that a PM2 daemon of this home started, whether it still lives or not. They are known
 * by the environment that PM2 gave them: its home, which lies in the data directory, and their number.
 */
async function findFleetProcesses(home: Pm2Home): Promise<number[]> {
  const found = await ownProcesses();
  const nodes = found.filter(({ argv }) => /(^|\/)node( |$)/.test(argv[0] ?? ''));
  return withHome(home, nodes, (env) => env.has('pm_id') && env.has('pm_exec_path'));
}

/** The fleet's processes whose daemon is not among `daemons`: nobody restarts or stops them any more. */
export async function findOrphans(home: Pm2Home, daemons: readonly number[]): Promise<number[]> {
  const orphans: number[] = [];
  for (const pid of await findFleetProcesses(home)) {
    const parent = await parentOf(pid);
    if (parent !== undefined && !daemons.includes(parent)) orphans.push(pid);
  }
  return orphans;
}

async function withHome(
  home: Pm2Home,
  processes: readonly { pid: number }[],
  accept: (env: Map<string, string>) => boolean,
): Promise<number[]> {
  const pids: number[] = [];
  for (const { pid } of processes) {
    const env = await environmentOf(pid);
    if (env.get('PM2_HOME') === home.home && accept(env)) pids.push(pid);
  }
  return pids;
}

/** True when a daemon accepts connections on the home's socket. */
export function daemonAnswers(home: Pm2Home): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(home.rpcSocket);
    socket.setTimeout(ANSWER_MS, () => socket.destroy(new Error('No answer from the PM2 daemon.')));
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    // Refused, absent or silent: all of them mean that this daemon cannot be used.
    socket.once('error', () => resolve(false));
  });
}
