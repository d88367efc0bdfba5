import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { createClient, type StrataClient } from '../client/index.js';
import { StrataError, errnoOf } from '../shared/errors.js';
import type { CliIo } from './io.js';

/** What `strata up` leaves in the data directory (mode 0600) for the CLI of the same user. */
export interface CliFile {
  url: string;
  token: string;
}

export interface ConnectionOptions {
  url?: string | undefined;
  token?: string | undefined;
}

/** Where the data directory is: STRATA_DATA_DIR, or `.strata` in the project. */
export function dataDirectory(io: Pick<CliIo, 'env' | 'projectDir'>): string {
  return resolve(io.env['STRATA_DATA_DIR'] || join(io.projectDir, '.strata'));
}

/** The path of the CLI's own file in a data directory. */
export function cliFilePath(dataDir: string): string {
  return join(dataDir, 'cli.json');
}

/**
 * Finds address and token: `--url` and `--token`, then STRATA_URL and STRATA_TOKEN, then the data directory's cli.json.
 * The file's token is used only with the file's address: it is never sent to another one.
 * @throws unauthorized when there is no token, invalid_configuration when cli.json is not readable as such
 */
export async function connect(io: CliIo, options: ConnectionOptions): Promise<StrataClient> {
  const file = await readCliFile(cliFilePath(dataDirectory(io)));
  const url = options.url ?? (io.env['STRATA_URL'] || undefined) ?? file?.url;
  if (url === undefined) {
    throw new StrataError(
      'api_unreachable',
      `There is no address of an API: nothing was started in ${dataDirectory(io)}.`,
    );
  }
  checkAddress(url);
  const fileToken = file?.url === url ? file.token : undefined;
  const token = options.token ?? (io.env['STRATA_TOKEN'] || undefined) ?? fileToken;
  if (token === undefined) {
    throw new StrataError('unauthorized', `There is no token for ${url}: give --token or set STRATA_TOKEN.`);
  }
  return createClient({ baseUrl: url, token, clock: io.clock, ...(io.fetch ? { fetch: io.fetch } : {}) });
}

/** @throws invalid_request for an address without its scheme: nobody should be asked for a token before that */
function checkAddress(url: string): void {
  if (/^https?:\/\/[^/]/i.test(url)) return;
  const rest = /^(?:https?:\/*)?([^/:\s]+(?::\d+)?(?:\/\S*)?)$/i.exec(url)?.[1];
  const remedy = rest === undefined ? 'http://HOST:PORT' : `http://${rest}`;
  throw new StrataError('invalid_request', `"${url}" is no address of an API: write ${remedy}.`, {
    field: 'url',
  });
}

/**
 * Reads cli.json; undefined when there is none.
 * @throws invalid_configuration when it is damaged or not readable by this user
 */
export async function readCliFile(path: string): Promise<CliFile | undefined> {
  try {
    const value: unknown = JSON.parse(await readFile(path, 'utf8'));
    const { url, token } = (value ?? {}) as Record<string, unknown>;
    if (typeof url === 'string' && typeof token === 'string') return { url, token };
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw new StrataError('invalid_configuration', `${path} cannot be read.`, { cause: error });
  }
  throw new StrataError('invalid_configuration', `${path} holds no url and token.`);
}
