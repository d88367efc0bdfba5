import { chown, mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { ForeignImage } from '../foreignImage.js';
import { type HeldSocket, holdSocket } from './holdSocket.js';
import { sandboxUser } from './sandbox.js';

export interface SocketBox {
  socketPath: string;
  /** The one directory that a server in a sandbox may write to; undefined for one without. */
  socketDirectory?: string;
  /** Once the server greets: what to connect to. */
  address: () => Promise<string>;
  /** Takes away the socket, and all else that a server in a sandbox has put into its directory. */
  removeSocket: () => Promise<void>;
}

/**
 * Where a server makes its socket: in a sandbox in a directory of its own, which belongs to the user that it runs as. Who may
 * connect is decided by the directory around that one.
 * @param path the socket, or what that directory is called; must not exist
 */
export async function socketBox(path: string, foreign: ForeignImage | undefined): Promise<SocketBox> {
  if (foreign?.sandbox === undefined) {
    return {
      socketPath: path,
      address: () => Promise.resolve(path),
      removeSocket: () => rm(path, { force: true }),
    };
  }
  await mkdir(path, { mode: 0o700 });
  let held: HeldSocket | undefined;
  const removeSocket = async () => {
    await held?.close();
    await rm(path, { recursive: true, force: true });
  };
  const address = async () => {
    held = await holdSocket(join(path, 's'));
    return held.path;
  };
  try {
    const user = sandboxUser(foreign);
    if (user !== undefined) await chown(path, user, user);
  } catch (error) {
    await removeSocket();
    throw error;
  }
  return { socketPath: join(path, 's'), socketDirectory: path, address, removeSocket };
}
