import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { StrataError } from '../../shared/errors.js';
import { O_PATH } from '../../shared/files.js';

export interface HeldSocket {
  /** What leads to this very socket, in this process and in the tools that it starts, until it is closed. */
  path: string;
  close: () => Promise<void>;
}

/**
 * Holds the socket that a server in a sandbox has made. Its directory is the server's to write to: a link put there later
 * would lead this process, which may connect to much, to a server of somebody else.
 * @throws tool_failed if there is no socket but something else
 */
export async function holdSocket(socketPath: string): Promise<HeldSocket> {
  const found = await open(socketPath, O_PATH | constants.O_NOFOLLOW);
  try {
    if (!(await found.stat()).isSocket()) throw noSocket(socketPath);
  } catch (error) {
    await found.close();
    throw error;
  }
  return { path: `/proc/${process.pid}/fd/${found.fd}`, close: closeOnce(found) };
}

function closeOnce(file: FileHandle): () => Promise<void> {
  let closing: Promise<void> | undefined;
  return () => (closing ??= file.close());
}

function noSocket(socketPath: string): StrataError {
  return new StrataError(
    'tool_failed',
    'A server in a sandbox has put something else in place of its socket.',
    {
      details: { socketPath },
    },
  );
}
