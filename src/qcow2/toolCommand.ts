import { tmpdir } from 'node:os';
import { prlimitArgs } from './limits.js';
import { sandboxLimits, sandboxWords } from './sandbox/sandbox.js';
import type { ToolCall } from './toolCall.js';
import type { ToolOptions } from './toolOptions.js';

const SEARCH_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** A command line without a shell. */
export interface ToolCommand {
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
