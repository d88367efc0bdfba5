import { spawn } from 'node:child_process';
import { StrataError } from '../../shared/errors.js';

/** A program of an embedded service. */
type Program = 'redis-server' | 'mariadbd' | 'mariadb-install-db';

/** The programs of each embedded service, the Debian or Ubuntu package that holds them, and what makes them needless. */
const NEEDS = {
  redis: { programs: ['redis-server'], package: 'redis-server', setting: 'STRATA_REDIS_URL' },
  database: {
    programs: ['mariadbd', 'mariadb-install-db'],
    package: 'mariadb-server',
    setting: 'STRATA_DATABASE_URL',
  },
} as const satisfies Record<string, { programs: readonly Program[]; package: string; setting: string }>;

// Servers live in the sbin directories, which an ordinary user's PATH often lacks.
const LOOK_UP =
  'PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"; for tool; do printf "%s\\n" "$(command -v "$tool")"; done';

/**
 * Finds the programs of the services on the PATH and in the sbin directories.
 * @returns the absolute path of each program
 * @throws tool_missing naming every missing program, the packages that hold them and the settings that replace them
 */
export async function locateTools(
  services: readonly (keyof typeof NEEDS)[],
): Promise<(program: Program) => string> {
  const needs = services.map((service) => NEEDS[service]);
  const programs: Program[] = needs.flatMap((need) => [...need.programs]);
  const paths = (await runShell(LOOK_UP, programs)).split('\n');
  const found = new Map(programs.map((program, index) => [program, paths[index] ?? '']));
  const missing = programs.filter((program) => !found.get(program)?.startsWith('/'));
  if (missing.length > 0) {
    const lacking = needs.filter((need) => need.programs.some((program) => missing.includes(program)));
    const packages = lacking.map((need) => need.package);
    throw new StrataError(
      'tool_missing',
      `The embedded services need ${missing.join(', ')}: install ${packages.join(' and ')} ` +
        `(apt-get install ${packages.join(' ')}), or set ${lacking.map((need) => need.setting).join(' and ')}.`,
      { details: { missing, packages } },
    );
  }
  return (program) => found.get(program) ?? program;
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
