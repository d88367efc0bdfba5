import { StrataError } from '../shared/errors.js';
import { stopOn } from './stopOn.js';
import type { ToolCall, ToolExit } from './toolCall.js';
import { DEADLINES, type ToolOptions } from './toolOptions.js';
import { checkExit, type ToolProcess } from './toolProcess.js';

/** A running qemu-nbd. */
export interface NbdServer {
  uri: string;
  socketPath: string;
  pid: number;
  /**
   * Resolves after a clean end by `close()`. Rejects with the signal's reason if that ended it, and with a StrataError
   * if the server died unasked or did not end cleanly. The socket is gone either way.
   */
  exited: Promise<void>;
  /**
   * Ends the server by SIGTERM: it closes its connections, flushes and closes the image. Clients flush before. Waits for
   * the exit; rejects as `exited` does: then what was written may not be on disk. May be called again.
   */
  close(): Promise<void>;
}

interface Served {
  call: ToolCall;
  running: ToolProcess;
  options: ToolOptions;
  socketPath: string;
  removeSocket: () => Promise<void>;
}

/** The handle of a qemu-nbd that was just started. */
export function nbdServer({
  call,
  running,
  options,
  socketPath,
  removeSocket,
}: Served): Omit<NbdServer, 'uri'> {
  const late = (): Error => closeTimeout(call);
  let closing: Promise<void> | undefined;
  const watch = async (): Promise<void> => {
    const exit = await running.exited;
    await removeSocket();
    checkServerExit(call, exit, options, closing !== undefined);
  };
  const exited = watch();
  // Who serves an image learns of its death from `exited` or from `close()`. Without this, a death that comes before
  // either is looked at would end the whole process as an unhandled rejection.
  exited.catch(() => undefined);
  const close = async (): Promise<void> => {
    running.terminate();
    const clear = stopOn(undefined, DEADLINES.serveClose, late, (reason) => running.stop(reason));
    try {
      await exited;
    } finally {
      clear();
    }
  };
  return { socketPath, pid: running.pid ?? 0, exited, close: () => (closing ??= close()) };
}

/** A server never ends by itself: an exit that nobody asked for is a failure even with exit code 0. */
function checkServerExit(call: ToolCall, exit: ToolExit, options: ToolOptions, asked: boolean): void {
  checkExit(call, exit, options);
  if (!asked) {
    throw new StrataError('tool_failed', 'qemu-nbd ended without being asked to.', {
      details: { tool: call.tool, args: call.args, exitCode: exit.exitCode, stderr: exit.stderr },
    });
  }
}

function closeTimeout({ tool, args }: ToolCall): StrataError {
  return new StrataError(
    'tool_timeout',
    `qemu-nbd did not close its image within ${DEADLINES.serveClose} ms.`,
    {
      details: { tool, args },
    },
  );
}
