import { chmod, mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type EmbeddedPaths, SOCKET_PATH_MAX, prepareEmbeddedPaths } from '../embedded/paths.js';

/** PM2's home for one data directory: two directories on a host have two PM2 daemons that know nothing of each other. */
export interface Pm2Home {
  dataDir: string;
  runDir: string;
  paths: EmbeddedPaths;
  home: string;
  rpcSocket: string;
  pubSocket: string;
}

/** Where PM2's home of a data directory is, and where its sockets are: beside the others when the path is too long. */
export function pm2HomeIn(paths: EmbeddedPaths): Pm2Home {
  const home = join(paths.dataDir, 'pm2');
  const fits = Buffer.byteLength(`${home}/rpc.sock`) <= SOCKET_PATH_MAX;
  return {
    dataDir: paths.dataDir,
    runDir: paths.runDir,
    paths,
    home,
    rpcSocket: fits ? join(home, 'rpc.sock') : join(paths.socketDir, 'rpc.sock'),
    pubSocket: fits ? join(home, 'pub.sock') : join(paths.socketDir, 'pub.sock'),
  };
}

/** Creates PM2's home. */
export async function preparePm2Home(dataDir: string): Promise<Pm2Home> {
  const home = pm2HomeIn(await prepareEmbeddedPaths(dataDir));
  await mkdir(home.home, { recursive: true, mode: 0o700 });
  await chmod(home.home, 0o700);
  // PM2 7.0.4 takes a home without this file for a first installation and calls its makers' server (lib/Client.js).
  await writeFile(join(home.home, 'touch'), '');
  return home;
}

/** Removes what a killed daemon left; PM2 would wait for it, or take it for a running one. */
export async function removeStaleFiles(home: Pm2Home): Promise<void> {
  const stale = [home.rpcSocket, home.pubSocket, join(home.home, 'pm2.pid'), join(home.home, 'reload.lock')];
  for (const file of stale) await rm(file, { force: true });
}

/**
 * The environment for a call of PM2: the caller's without anything meant for another PM2, plus what keeps this one at
 * home and off the network.
 */
export function pm2Environment(home: Pm2Home, env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const foreign = /^(PM2_|pm_|axm_|KEYMETRICS_|NODE_APP_INSTANCE$)/;
  const kept = Object.entries(env).filter(([name]) => !foreign.test(name));
  return {
    ...Object.fromEntries(kept),
    STRATA_DATA_DIR: home.dataDir,
    PM2_HOME: home.home,
    PM2_DAEMON_RPC_PORT: home.rpcSocket,
    PM2_DAEMON_PUB_PORT: home.pubSocket,
    PM2_DISABLE_VERSION_CHECK: 'true',
    PM2_NO_INTERACTION: 'true',
    // Two at a time by default: a fleet that waits for its jobs would stop one grace time after the other.
    PM2_CONCURRENT_ACTIONS: '16',
  };
}
