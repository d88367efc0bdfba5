import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { throwIfAborted, withDeadline } from '../../shared/abort.js';
import { StrataError } from '../../shared/errors.js';
import { type Pm2Home, pm2Environment } from './home.js';

const OUTPUT_TAIL = 2000;

/**
 * Runs the installed package's `pm2` to its end and returns its output.
 * @throws service_failed when it fails, with the end of its output
 * @throws deadline_exceeded after `timeoutMs` milliseconds
 */
export async function runPm2(
  home: Pm2Home,
  args: readonly string[],
  call: { env: NodeJS.ProcessEnv; timeoutMs: number; signal: AbortSignal | undefined },
): Promise<string> {
  const deadline = withDeadline(call.signal, call.timeoutMs, `pm2 ${args[0] ?? ''}`);
  try {
    const { code, output } = await run(home, args, call.env, deadline.signal);
    throwIfAborted(deadline.signal);
    if (code === 0) return output;
    throw new StrataError(
      'service_failed',
      `pm2 ${args.join(' ')} ended with code ${code}:\n${output.slice(-OUTPUT_TAIL)}`,
    );
  } finally {
    deadline.clear();
  }
}

function run(
  home: Pm2Home,
  args: readonly string[],
  env: NodeJS.ProcessEnv,
  signal: AbortSignal,
): Promise<{ code: number | null; output: string }> {
  const program = join(dirname(createRequire(import.meta.url).resolve('pm2/package.json')), 'bin', 'pm2');
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [program, '--no-color', ...args], {
      cwd: home.home,
      env: pm2Environment(home, env),
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    const collect = (text: string) => {
      output += text;
    };
    child.stdout.setEncoding('utf8').on('data', collect);
    child.stderr.setEncoding('utf8').on('data', collect);
    const kill = () => child.kill('SIGKILL');
    signal.addEventListener('abort', kill, { once: true });
    child.once('error', reject);
    // `exit`, not `close`: a daemon that this call starts must not be waited for, whatever it inherits.
    child.once('exit', (code) => {
      signal.removeEventListener('abort', kill);
      setImmediate(() => {
        child.stdout.destroy();
        child.stderr.destroy();
        resolve({ code, output });
      });
    });
  });
}
