import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { cliFilePath } from '../cli/connection.js';
import { parseDatabaseUrl } from '../config/addresses.js';
import { readSettings, type Settings } from '../config/settings.js';
import { openDatabase } from '../db/dataSource.js';
import { MIGRATIONS } from '../../migrations/index.js';
import { type Access, readAccess, unionAccess, writeAccess } from './control/access.js';
import { type Addresses, addressesOf } from './control/addresses.js';
import { ensureAdminToken } from './control/adminToken.js';
import { bringUpFleet } from './control/bringUpFleet.js';
import { type ListenAddress, listenText, urlOf } from './control/listen.js';
import { chooseListen } from './control/chooseListen.js';
import { migrate } from './control/migrate.js';
import { type ServiceUrls, startServices } from './control/bringUpFleet.js';
import { prepareEmbeddedPaths } from './embedded/paths.js';
import { withDirectoryLock } from './embedded/lock.js';
import type { FleetProcess } from './pm2/status.js';

export interface UpOptions {
  env: NodeJS.ProcessEnv;
  /** Where `dist`, `ecosystem.config.js` and the default data directory are. */
  projectDir: string;
  /** Allowed from now on, in addition to the settings and to what was allowed before. */
  allow?: Partial<Access>;
  log?: (line: string) => void;
  signal?: AbortSignal | undefined;
}

export interface UpResult {
  addresses: Addresses;
  dataDir: string;
  tokenFile: string;
  token: string;
  /** True when the fleet ran already with these settings and was left alone. */
  adopted: boolean;
  processes: FleetProcess[];
}

/** Another `up` may have to initialise the database and to wait for workers that hand their jobs back. */
const LOCK_TIMEOUT_MS = 900_000;

/**
 * Brings a data directory's system to life, or adopts what lives already: services, schema, admin token, fleet.
 * Safe to call twice, at the same time, and after a SIGKILL of everything.
 * @throws invalid_configuration, tool_missing, service_failed, database_unavailable
 */
export async function up(options: UpOptions): Promise<UpResult> {
  const settings = readSettings(options.env, options.projectDir);
  const { runDir, dataDir } = await prepareEmbeddedPaths(settings.dataDir);
  const lock = { runDir, purpose: 'up', timeoutMs: LOCK_TIMEOUT_MS, signal: options.signal };
  return withDirectoryLock(lock, () => upLocked(options, settings, dataDir));
}

async function upLocked(options: UpOptions, settings: Settings, dataDir: string): Promise<UpResult> {
  const log = options.log ?? (() => undefined);
  const access = await grantAccess(options, settings, dataDir);
  const urls = await startServices(settings, { dataDir, log, signal: options.signal });
  const listen = await chooseListen({
    dataDir,
    env: options.env,
    configured: options.env['STRATA_LISTEN']?.trim() ? settings.listen : undefined,
    preferred: settings.listen,
    log,
    signal: options.signal,
  });
  const url = urlOf(listen);
  const { token } = await prepareDatabase(urls.databaseUrl, dataDir, url, log, options.signal);
  const { adopted, processes } = await bringUpFleet({
    dataDir,
    projectDir: options.projectDir,
    env: fleetEnvironment(options.env, { dataDir, urls, listen, access }),
    readyUrl: `${url}/readyz`,
    log,
    signal: options.signal,
  });
  return { addresses: addressesOf(url), dataDir, tokenFile: cliFilePath(dataDir), token, adopted, processes };
}

/** Settings, what was allowed before, and what is asked for now: the whole is remembered, less the settings. */
async function grantAccess(options: UpOptions, settings: Settings, dataDir: string): Promise<Access> {
  const asked = { sourceRoots: [], nbdAllow: [], ...options.allow };
  const before = await readAccess(dataDir);
  const extra = unionAccess(before, asked);
  if (JSON.stringify(extra) !== JSON.stringify(before)) await writeAccess(dataDir, extra);
  for (const name of ['sources', 'restores', 'repository']) {
    await mkdir(join(dataDir, name), { recursive: true, mode: 0o700 });
  }
  return unionAccess({ sourceRoots: settings.sourceRoots, nbdAllow: settings.nbdAllow }, extra);
}

async function prepareDatabase(
  databaseUrl: string,
  dataDir: string,
  url: string,
  log: (line: string) => void,
  signal: AbortSignal | undefined,
): Promise<{ token: string }> {
  const ds = await openDatabase({
    address: parseDatabaseUrl(databaseUrl),
    migrations: MIGRATIONS,
    poolSize: 3,
  });
  try {
    const names = await migrate(ds, signal);
    log(names.length === 0 ? 'The schema is up to date.' : `Migrated the schema: ${names.join(', ')}.`);
    return await ensureAdminToken(ds, dataDir, url);
  } finally {
    await ds.destroy();
  }
}

function fleetEnvironment(
  env: NodeJS.ProcessEnv,
  facts: { dataDir: string; urls: ServiceUrls; listen: ListenAddress; access: Access },
): NodeJS.ProcessEnv {
  // The CLI's own variables are no business of the fleet, and a token least of all.
  const { STRATA_URL: _url, STRATA_TOKEN: _token, ...rest } = env;
  return {
    ...rest,
    STRATA_DATA_DIR: facts.dataDir,
    STRATA_DATABASE_URL: facts.urls.databaseUrl,
    STRATA_REDIS_URL: facts.urls.redisUrl,
    STRATA_LISTEN: listenText(facts.listen),
    STRATA_SOURCE_ROOTS: facts.access.sourceRoots.join(','),
    STRATA_NBD_ALLOW: facts.access.nbdAllow.join(','),
  };
}
