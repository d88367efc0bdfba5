import { spawn } from 'node:child_process';
import { StrataError } from '../../shared/errors.js';

/** The programs of the embedded services, and the Debian or Ubuntu package of each. */
const PACKAGES: Readonly<Record<string, string>> = {
  'redis-server': 'redis-server',
  mariadbd: 'mariadb-server',
  'mariadb-install-db': 'mariadb-server',
};

/** Absolute paths of the programs. */
export interface ToolPaths {
  redisServer: string;
  mariadbd: string;
  mariadbInstallDb: string;
}

// Servers live in the sbin directories, which an ordinary user's PATH often lacks.
const LOOK_UP =
  'PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"; for tool; do printf "%s\\n" "$(command -v "$tool")"; done';

/**
 * Finds the programs on the PATH and in the sbin directories.
 * @throws tool_missing naming every missing program and the packages that hold them
 */
export async function locateTools(): Promise<ToolPaths> {
  const names = Object.keys(PACKAGES);
  const paths = (await runShell(LOOK_UP, names)).split('\n');
  const missing = names.filter((_, index) => !paths[index]?.startsWith('/'));
  if (missing.length > 0) {
    const packages = [...new Set(missing.map((name) => PACKAGES[name]))];
    throw new StrataError(
      'tool_missing',
      `The embedded services need ${missing.join(', ')}: install ${packages.join(' and ')} ` +
        `(apt-get install ${packages.join(' ')}), or set STRATA_REDIS_URL and STRATA_DATABASE_URL.`,
      { details: { missing, packages } },
    );
  }
  const pathOf = (name: string) => paths[names.indexOf(name)] ?? name;
  return {
    redisServer: pathOf('redis-server'),
    mariadbd: pathOf('mariadbd'),
    mariadbInstallDb: pathOf('mariadb-install-db'),
  };
}

/** Runs a fixed script of ours under /bin/sh with positional arguments; returns its output. */
function runShell(script: string, args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn('/bin/sh', ['-c', script, 'sh', ...args], { stdio: ['ignore', 'pipe', 'ignore'] });
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
    child.once('error', reject);
    child.once('close', () => resolve(output));
  });
}
