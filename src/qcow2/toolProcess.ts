import { constants, tmpdir } from 'node:os';
import { Duplex, type Readable } from 'node:stream';
import { execa } from 'execa';
import { throwIfAborted } from '../shared/abort.js';
import { StrataError } from '../shared/errors.js';
import { withRealPaths } from './foreignImage.js';
import { stopOn } from './stopOn.js';
import type { ToolCall, ToolExit } from './toolCall.js';
import { toolFailure } from './toolFailure.js';
import type { ToolOptions } from './toolOptions.js';
import { prlimitArgs } from './limits.js';
import { sandboxLimits, sandboxWords } from './sandbox/sandbox.js';

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
  const { file, args, env } = toolCommand(call, options);
  const { foreign } = call;
  const child = execa(file, args, {
    env,
    extendEnv: false,
    // Nothing is ever resolved against the worker's directory.
    cwd: '/',
    stdio: stdioOf(call),
    buffer: false,
    reject: false,
    // execa would follow every SIGTERM by SIGKILL; terminate() must not.
    forceKillAfterDelay: false,
  });
  giveFilter(call, child.stdio);
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
  let ending = false;
  const exited = child.then((result): ToolExit => {
    clear();
    clearTimeout(killTimer);
    const spawnError =
      result.exitCode === undefined && result.signal === undefined ? result.cause : undefined;
    return {
      ...endOf(result, foreign?.sandbox !== undefined, ending),
      stderr: withRealPaths(foreign, stderr()),
      stopped,
      spawnError: spawnError instanceof Error ? spawnError : undefined,
    };
  });
  return {
    pid: child.pid,
    stdout: child.stdout.setEncoding('utf8'),
    stop,
    terminate: () => {
      ending = true;
      child.kill('SIGTERM');
    },
    exited,
  };
}

/** Descriptors of an image from outside follow the standard streams, and last what bwrap reads its filter from. */
function stdioOf({ foreign }: ToolCall): ['ignore', 'pipe', 'pipe'] {
  const more = [...(foreign?.files.map(({ fd }) => fd) ?? []), ...(foreign?.sandbox ? ['pipe'] : [])];
  // execa's types know no descriptors beyond the standard streams; execa passes them on to node:child_process.
  return ['ignore', 'pipe', 'pipe', ...more] as unknown as ['ignore', 'pipe', 'pipe'];
}

function giveFilter({ foreign }: ToolCall, stdio: readonly unknown[]): void {
  if (!foreign?.sandbox) return;
  const pipe = stdio.at(-1);
  if (!(pipe instanceof Duplex)) return;
  // A bwrap that has died before it read all says why by its exit.
  pipe.on('error', () => undefined);
  pipe.end(foreign.sandbox.filter);
}

/**
 * How the tool inside of a sandbox ended: bwrap exits with 128 and the number of the signal that killed the tool. A SIGTERM
 * ends bwrap and everything in the sandbox at once, which is a clean end of a tool that only reads.
 */
function endOf(
  { exitCode, signal }: { exitCode?: number; signal?: string },
  sandboxed: boolean,
  ending: boolean,
): Pick<ToolExit, 'exitCode' | 'signal'> {
  if (!sandboxed) return { exitCode, signal };
  if (ending && signal === 'SIGTERM') return { exitCode: 0, signal: undefined };
  const number = (exitCode ?? 0) - 128;
  const name = Object.entries(constants.signals).find(([, value]) => value === number)?.[0];
  return name === undefined ? { exitCode, signal } : { exitCode: undefined, signal: name };
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

const SEARCH_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** A command line without a shell. */
interface ToolCommand {
  file: string;
  args: string[];
  env: Record<string, string>;
}

/**
 * The command line of a tool: `setpriv --pdeathsig KILL -- [prlimit] [ionice nice] [bwrap] tool args`.
 * Each program replaces itself by the next, so that the child's pid is the tool's, and the kernel kills it when the
 * thread that started it ends, even by SIGKILL (PR_SET_PDEATHSIG in prctl(2) survives execve). Call it from Node's main
 * thread only: a worker thread would take its tools along when it ends. In a sandbox the pid is that of bwrap, and the tool
 * dies with it.
 */
export function toolCommand(call: ToolCall, options: ToolOptions): ToolCommand {
  const { tool, args, foreign, socketDirectory } = call;
  const words = ['--pdeathsig', 'KILL', '--'];
  const limits = [...(options.limits ? prlimitArgs(options.limits) : []), ...sandboxLimits(foreign)];
  if (limits.length > 0) words.push('prlimit', ...limits, '--');
  // -t: a container may forbid I/O priorities; slower neighbours are then better than no backup.
  if (options.idle) words.push('ionice', '-c', '3', '-t');
  if (options.idle === true) words.push('nice', '-n', '19');
  words.push(...sandboxWords(foreign, socketDirectory));
  return { file: 'setpriv', args: [...words, tool, ...args], env: toolEnvironment(options) };
}

/** Nothing of the worker's environment (it holds credentials); LC_ALL=C because messages are matched in toolFailure. */
function toolEnvironment(options: ToolOptions): Record<string, string> {
  return { PATH: options.searchPath ?? SEARCH_PATH, LC_ALL: 'C', TMPDIR: tmpdir() };
}
