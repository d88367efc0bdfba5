import { mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type NbdServer, startNbdkit } from './nbdServers.js';

export interface NbdSuite {
  /** Starts nbdkit: filters, plugin, parameters. */
  nbdkit(...args: string[]): Promise<NbdServer>;
  /** Has a server that was started otherwise stopped behind the test. */
  keep(server: Promise<NbdServer>): Promise<NbdServer>;
  /** Path of a file of this test's own. */
  file(name: string): string;
}

/**
 * What a test has started is stopped, and its files are removed, behind it. Called at the top of a file its hook is that of
 * all files of the process, so it does nothing where nothing was asked for.
 */
export function useNbdServers(): NbdSuite {
  const servers: NbdServer[] = [];
  let folder: string | undefined;
  afterEach(async () => {
    for (const server of servers.splice(0)) await server.stop();
    if (folder !== undefined) await rm(folder, { recursive: true, force: true });
    folder = undefined;
  });
  const keep: NbdSuite['keep'] = async (starting) => {
    const server = await starting;
    servers.push(server);
    return server;
  };
  return {
    keep,
    nbdkit: (...args) => keep(startNbdkit(...args)),
    file: (name) => join((folder ??= mkdtempSync(join(tmpdir(), 'strata-nbd-test-'))), name),
  };
}
