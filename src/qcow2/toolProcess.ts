import type { Readable } from 'node:stream';
import { execa } from 'execa';
import { throwIfAborted } from '../shared/abort.js';
import { StrataError } from '../shared/errors.js';
import { stopOn } from './stopOn.js';
import type { ToolCall, ToolExit } from './toolCall.js';
import { toolCommand } from './toolCommand.js';
import { toolFailure } from './toolFailure.js';
import type { ToolOptions } from './toolOptions.js';

/**
 * From SIGTERM to SIGKILL. qemu-img dies at once of SIGTERM; qemu-nbd first lets its clients' requests finish, which a hung
 * disk may never do. What is stopped is of no more use, and has to be gone within 2 s of a lost lease.
 */
const GRACE_MS = 1000;
const STDERR_TAIL = 4096;

export interface ToolProcess {
  pid: number | undefined;
  /** UTF-8 text. The caller must read it, or the tool hangs on a full pipe. */
  stdout: Readable;
  /** SIGTERM, then SIGKILL after a short grace. The first reason is kept. */
  stop(reason: Error): void;
  /** SIGTERM alone: the tool ends in its own time, and `stopped` stays undefined. */
  terminate(): void;
  /** Settles when the process is gone and its output was read. Never rejects. */
  exited: Promise<ToolExit>;
}

/**
 * Starts a tool as a direct child that dies with this process.
 * @param deadlineMs Infinity for a server that runs until it is closed
 * @throws the signal's reason if it has aborted already
 */
export function startTool(call: ToolCall, options: ToolOptions): ToolProcess {
  throwIfAborted(options.signal);
  const { file, args, env } = toolCommand(call.tool, call.args, options);
  const child = execa(file, args, {
    env,
    extendEnv: false,
    // Nothing is ever resolved against the worker's directory.
    cwd: '/',
    stdin: 'ignore',
    buffer: false,
    reject: false,
    // execa would follow every SIGTERM by SIGKILL; terminate() must not.
    forceKillAfterDelay: false,
  });
  const stderr = tailOf(child.stderr);
  let stopped: Error | undefined;
  let killTimer: NodeJS.Timeout | undefined;
  const stop = (reason: Error): void => {
    stopped ??= reason;
    child.kill('SIGTERM');
    killTimer ??= setTimeout(() => child.kill('SIGKILL'), GRACE_MS);
  };
  const deadlineMs = options.deadlineMs ?? call.deadlineMs;
  const clear = stopOn(options.signal, deadlineMs, timeoutError(call, deadlineMs), stop);
  const exited = child.then((result): ToolExit => {
    clear();
    clearTimeout(killTimer);
    const spawnError =
      result.exitCode === undefined && result.signal === undefined ? result.cause : undefined;
    return {
      exitCode: result.exitCode,
      signal: result.signal,
      stderr: stderr(),
      stopped,
      spawnError: spawnError instanceof Error ? spawnError : undefined,
    };
  });
  return {
    pid: child.pid,
    stdout: child.stdout.setEncoding('utf8'),
    stop,
    terminate: () => void child.kill('SIGTERM'),
    exited,
  };
}

/**
 * Throws what an exit means: the reason if the tool was stopped, otherwise a StrataError unless its exit code is one of
 * `okExitCodes`.
 */
export function checkExit(
  call: ToolCall,
  exit: ToolExit,
  options: ToolOptions,
  okExitCodes: readonly number[] = [0],
): void {
  if (exit.stopped) throw exit.stopped;
  if (exit.exitCode === undefined || !okExitCodes.includes(exit.exitCode)) {
    throw toolFailure(call, exit, options.limits !== undefined);
  }
}

function timeoutError({ tool, args }: ToolCall, deadlineMs: number): () => Error {
  const verb = tool === 'qemu-img' ? `${tool} ${args[0] ?? ''}` : tool;
  return () =>
    new StrataError('tool_timeout', `${verb} did not finish within ${deadlineMs} ms.`, {
      details: { tool, args, deadlineMs },
    });
}

function tailOf(stream: Readable): () => string {
  let tail = '';
  stream.setEncoding('utf8').on('data', (chunk: string) => {
    tail = (tail + chunk).slice(-STDERR_TAIL);
  });
  return () => tail;
}
