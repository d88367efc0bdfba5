import { createHash } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf } from '../../shared/errors.js';
import { writeWhole } from './writeWhole.js';

/**
 * Tells whether a running fleet is the one that would be started now: the same settings and the same build.
 * @param env the environment of the fleet
 */
export async function fleetFingerprint(env: NodeJS.ProcessEnv, projectDir: string): Promise<string> {
  const settings = Object.entries(env).filter(([name]) => name.startsWith('STRATA_'));
  settings.sort(([a], [b]) => (a < b ? -1 : 1));
  const facts = JSON.stringify([settings, process.version, await buildStamp(projectDir)]);
  return createHash('sha256').update(facts).digest('hex');
}

/** Of the fleet that was started last; undefined when none was. */
export async function readFingerprint(dataDir: string): Promise<string | undefined> {
  try {
    return (await readFile(fingerprintFile(dataDir), 'utf8')).trim();
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

export async function writeFingerprint(dataDir: string, fingerprint: string): Promise<void> {
  await writeWhole(fingerprintFile(dataDir), `${fingerprint}\n`, 0o600);
}

/** The compiler writes its build information with every change of its output. */
async function buildStamp(projectDir: string): Promise<string> {
  try {
    const { mtimeMs, size } = await stat(join(projectDir, 'dist', '.tsbuildinfo'));
    return `${mtimeMs}-${size}`;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return 'unknown';
    throw error;
  }
}

function fingerprintFile(dataDir: string): string {
  return join(dataDir, 'run', 'fleet-fingerprint');
}
