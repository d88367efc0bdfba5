import { fileURLToPath } from 'node:url';
import type { CliIo } from '../cli/index.js';
import { systemClock } from '../shared/clock.js';
import { StrataError } from '../shared/errors.js';

const DEFAULT_COLUMNS = 100;
/** As a shell reports the end of a program by SIGINT. */
const INTERRUPTED = 130;

/** The root of the project: this file runs as `dist/src/main/terminal.js`. */
export const PROJECT_DIR = fileURLToPath(new URL('../../../', import.meta.url)).replace(/\/$/, '');

/**
 * The CLI's view of this process. The first Ctrl-C or SIGTERM aborts the signal, so that everything is closed; a second
 * one ends the process.
 */
export function processIo(): { io: CliIo; close: () => void } {
  const interrupt = new AbortController();
  const onSignal = () => {
    if (interrupt.signal.aborted) process.exit(INTERRUPTED);
    interrupt.abort(
      new StrataError('cancelled', 'Interrupted. Work that was accepted goes on: strata jobs.'),
    );
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  exitOnBrokenPipe();
  const { env, stdout, stderr } = process;
  const io: CliIo = {
    out: (text) => void stdout.write(text),
    err: (text) => void stderr.write(text),
    terminal: stderr.isTTY && !env['NO_COLOR'] && env['TERM'] !== 'dumb',
    columns: () => stderr.columns || DEFAULT_COLUMNS,
    env,
    projectDir: PROJECT_DIR,
    clock: systemClock,
    signal: interrupt.signal,
  };
  const close = () => {
    process.off('SIGINT', onSignal);
    process.off('SIGTERM', onSignal);
  };
  return { io, close };
}

/** `strata list | head` ends quietly when head has seen enough. */
function exitOnBrokenPipe(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EPIPE') process.exit(0);
      throw error;
    });
  }
}
