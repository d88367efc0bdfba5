import { spawn } from 'node:child_process';
import { abortReason, withDeadline } from '../../shared/abort.js';
import { StrataError } from '../../shared/errors.js';

/** Making a file system of 512 MiB takes seconds; this is for a machine in trouble. */
const DEADLINE_MS = 120_000;

/**
 * They live in sbin, which an ordinary user's PATH often lacks. `exec`: the shell becomes the program, so that a signal
 * reaches it.
 */
const SCRIPT =
  'PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin" LC_ALL=C TZ=UTC; export PATH LC_ALL TZ; exec "$0" "$@"';
/** As a shell says that there is no such program. */
const NO_PROGRAM = 127;

/**
 * Runs a program of e2fsprogs to its end and returns what it printed on either stream.
 * @throws tool_missing, tool_failed with the end of its output, deadline_exceeded after two minutes
 */
export async function runTool(
  program: 'mke2fs' | 'debugfs',
  args: readonly string[],
  signal?: AbortSignal,
): Promise<string> {
  const deadline = withDeadline(signal, DEADLINE_MS, program);
  try {
    const { code, output } = await run(program, args, deadline.signal);
    if (deadline.signal.aborted) throw abortReason(deadline.signal);
    if (code === 0) return output;
    if (code === NO_PROGRAM) {
      throw new StrataError('tool_missing', `${program} is not installed (package e2fsprogs).`);
    }
    throw new StrataError('tool_failed', `${program} ended with code ${code}: ${output.slice(-1000).trim()}`);
  } finally {
    deadline.clear();
  }
}

function run(
  program: string,
  args: readonly string[],
  signal: AbortSignal,
): Promise<{ code: number | null; output: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn('/bin/sh', ['-c', SCRIPT, program, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    const collect = (text: string) => {
      output += text;
    };
    child.stdout.setEncoding('utf8').on('data', collect);
    child.stderr.setEncoding('utf8').on('data', collect);
    const kill = () => child.kill('SIGKILL');
    signal.addEventListener('abort', kill, { once: true });
    child.once('error', reject);
    child.once('close', (code) => {
      signal.removeEventListener('abort', kill);
      resolve({ code, output });
    });
  });
}
