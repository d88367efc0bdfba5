import { createHash } from 'node:crypto';
import { hostname } from 'node:os';
import { type CliFile, cliFilePath, readCliFile } from '../../cli/connection.js';
import type { DataSource } from '../../db/database.js';
import { createToken, hashToken, useToken } from '../../db/fleet/tokens.js';
import { systemClock } from '../../shared/clock.js';
import { isStrataError } from '../../shared/errors.js';
import { writeWhole } from './writeWhole.js';

/**
 * Makes sure that cli.json (mode 0600) of the data directory has the address and a token of an admin that the database
 * knows. A lost or unknown token is replaced by a new one, and the lost one is revoked.
 */
export async function ensureAdminToken(ds: DataSource, dataDir: string, url: string): Promise<CliFile> {
  const path = cliFilePath(dataDir);
  const found = await readUnlessDamaged(path);
  const token = found && (await isAdmin(ds, found.token)) ? found.token : await replaceToken(ds, dataDir);
  const file = { url, token };
  if (found?.token !== token || found.url !== url) {
    await writeWhole(path, `${JSON.stringify(file, null, 2)}\n`, 0o600);
  }
  return file;
}

/** A damaged file is as good as none here: a new token is made. */
async function readUnlessDamaged(path: string): Promise<CliFile | undefined> {
  try {
    return await readCliFile(path);
  } catch (error) {
    if (isStrataError(error, 'invalid_configuration')) return undefined;
    throw error;
  }
}

async function isAdmin(ds: DataSource, token: string): Promise<boolean> {
  return (await useToken(ds, hashToken(token)))?.role === 'admin';
}

/** One name per host and data directory, so that two of them on one database do not revoke each other's. */
async function replaceToken(ds: DataSource, dataDir: string): Promise<string> {
  const place = createHash('sha256').update(`${hostname()}\0${dataDir}`).digest('hex').slice(0, 10);
  const name = `cli-${place}`;
  await ds.query('DELETE FROM api_tokens WHERE name = ?', [name]);
  const { token } = await createToken(ds, { name, role: 'admin', expiresAt: null, now: systemClock.now() });
  return token;
}
