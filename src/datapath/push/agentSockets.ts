import { once } from 'node:events';
import { readdir, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { errnoOf, StrataError } from '../../shared/errors.js';
import { randomPart } from '../../shared/ids.js';

const OURS = /^strata-[0-9a-z]{16}\.sock$/;

/** A new path for the unix socket of an export. */
export function newSocketPath(directory: string): string {
  return join(directory, `strata-${randomPart(16)}.sock`);
}

/**
 * Removes the sockets of workers that were killed: those on which nobody listens. Asked by connecting, because the worker
 * may have lived in another container.
 * @throws invalid_configuration when the directory cannot be read
 */
export async function removeDeadSockets(directory: string): Promise<void> {
  for (const name of await namesIn(directory)) {
    const path = join(directory, name);
    if (OURS.test(name) && (await isDead(path))) await rm(path, { force: true });
  }
}

async function namesIn(directory: string): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch (cause) {
    throw new StrataError('invalid_configuration', `The directory ${directory} cannot be read.`, {
      field: 'STRATA_PUSH_SOCKET_DIR',
      cause,
    });
  }
}

async function isDead(path: string): Promise<boolean> {
  const socket = connect({ path });
  try {
    await once(socket, 'connect');
    return false;
  } catch (error) {
    return errnoOf(error) === 'ECONNREFUSED';
  } finally {
    socket.destroy();
  }
}
