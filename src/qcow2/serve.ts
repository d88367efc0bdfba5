import { existsSync } from 'node:fs';
import { StrataError } from '../shared/errors.js';
import { type ImageFormat, type ImageRef, type OpenArgs, openArgs } from './imageRef.js';
import { nbdServer, type NbdServer } from './nbdServer.js';
import { checkAbsolutePath } from './paths.js';
import { waitForGreeting } from './socketReady.js';
import type { ToolCall } from './toolCall.js';
import { DEADLINES, type ToolOptions } from './toolOptions.js';
import { socketBox } from './sandbox/socketBox.js';
import { startTool, type ToolProcess } from './toolProcess.js';

interface ServeSettings {
  readOnly: boolean;
  /**
   * Absolute; at most 107 bytes; must not exist. Its directory decides who may connect. Of a server in a sandbox it is the
   * directory in which the socket is made.
   */
  socketPath: string;
  /** Empty by default. */
  exportName?: string;
  /** A persistent dirty bitmap to offer as `qemu:dirty-bitmap:<name>`. */
  bitmap?: string;
  /** How many clients at once; 16 by default. With qemu-nbd's own default of 1 a second connection hangs. */
  shared?: number;
  /** `none` is direct I/O. `writeback` (qemu-nbd's default) is flushed when the client says so, and at the end. */
  cache?: 'none' | 'writeback';
  /** Passes a client's trims down to the image. Off by default. */
  discard?: boolean;
  /** Writes of zeroes are stored as zero clusters (`on`), or give their clusters back (`unmap`; needs `discard`). */
  detectZeroes?: 'off' | 'on' | 'unmap';
}

/** Either `ref`, or `path` and `format` of a file. */
export type ServeImage = ServeSettings & ({ ref: ImageRef } | { path: string; format: ImageFormat });

/** sizeof(sockaddr_un.sun_path) - 1 on Linux (unix(7)). */
const MAX_SOCKET_PATH_BYTES = 107;
const DEFAULT_SHARED = 16;

/**
 * Serves an image by `qemu-nbd` on a unix socket, and returns when the server greets. Nothing listens on a network.
 * The server outlives its clients and ends by `close()`, or when the signal aborts, or with this process.
 * @param options.deadlineMs bounds the start, not the life of the server
 * @throws file_exists if the socket's path is taken, and whatever the tool says: file_missing, source_in_use,
 *   unknown_format, bitmap_missing, tool_failed, tool_timeout
 */
export async function serveImage(serve: ServeImage, options: ToolOptions = {}): Promise<NbdServer> {
  checkSocketPath(serve.socketPath);
  const ref: ImageRef = 'ref' in serve ? serve.ref : { type: 'file', path: serve.path, format: serve.format };
  const opened = openArgs(ref, 'tls0');
  const box = await socketBox(serve.socketPath, opened.foreign);
  const { socketPath, socketDirectory, removeSocket } = box;
  const call: ToolCall = {
    tool: 'qemu-nbd',
    args: serveArgs({ ...serve, socketPath }, opened),
    deadlineMs: Number.POSITIVE_INFINITY,
    ...(opened.foreign ? { foreign: opened.foreign } : {}),
    ...(socketDirectory === undefined ? {} : { socketDirectory }),
  };
  const deadlineMs = options.deadlineMs ?? DEADLINES.serveStart;
  const running = await startOrRemove(call, options, removeSocket);
  const server = nbdServer({ call, running, options, socketPath, removeSocket });
  try {
    await waitForGreeting(socketPath, server.exited, deadlineMs);
    return { ...server, uri: nbdUnixUri(await box.address(), serve.exportName ?? '') };
  } catch (error) {
    running.stop(error instanceof Error ? error : new Error(String(error)));
    await running.exited;
    await removeSocket();
    throw error;
  }
}

/** The NBD URI of an export on a unix socket. */
export function nbdUnixUri(socketPath: string, exportName: string): string {
  // The slashes stay readable; all else is escaped, `?`, `&` and `%` above all.
  const socket = socketPath.split('/').map(encodeURIComponent).join('/');
  return `nbd+unix:///${encodeURIComponent(exportName)}?socket=${socket}`;
}

async function startOrRemove(
  call: ToolCall,
  options: ToolOptions,
  removeSocket: () => Promise<void>,
): Promise<ToolProcess> {
  try {
    return startTool(call, { ...options, deadlineMs: Number.POSITIVE_INFINITY });
  } catch (error) {
    await removeSocket();
    throw error;
  }
}

function serveArgs(serve: ServeSettings, { objects, format, name }: OpenArgs): string[] {
  const args = [...objects, '--persistent', `--shared=${serve.shared ?? DEFAULT_SHARED}`];
  args.push(`--socket=${serve.socketPath}`, `--export-name=${serve.exportName ?? ''}`);
  if (serve.readOnly) args.push('--read-only');
  if (serve.bitmap !== undefined) args.push(`--bitmap=${serve.bitmap}`);
  args.push(`--cache=${serve.cache ?? 'writeback'}`);
  args.push(`--discard=${serve.discard === true ? 'unmap' : 'ignore'}`);
  args.push(`--detect-zeroes=${serve.detectZeroes ?? 'off'}`);
  return [...args, `--format=${format}`, name];
}

/** @throws path_not_allowed, file_exists: qemu-nbd would take a running server's place without a word */
function checkSocketPath(socketPath: string): void {
  checkAbsolutePath(socketPath);
  if (Buffer.byteLength(socketPath) > MAX_SOCKET_PATH_BYTES) {
    throw new StrataError(
      'path_not_allowed',
      `The path of a unix socket has at most ${MAX_SOCKET_PATH_BYTES} bytes: use a shorter data directory.`,
      { details: { socketPath } },
    );
  }
  if (existsSync(socketPath)) {
    throw new StrataError('file_exists', 'The path of the NBD socket is taken.', { details: { socketPath } });
  }
}
