import { type ChildProcess, spawn } from 'node:child_process';
import { Readable } from 'node:stream';
import type { ToolCommand } from './toolCommand.js';

/** A child process, or the attempt to make one. */
export interface Program {
  /** Undefined where the operating system made no process. */
  pid: number | undefined;
  stdout: Readable;
  stderr: Readable;
  /** Nothing once it has ended. */
  kill(signal: NodeJS.Signals): void;
  /** Settles when it has ended and its output was read. Never rejects. */
  ended: Promise<ProgramEnd>;
}

export interface ProgramEnd {
  exitCode: number | undefined;
  signal: NodeJS.Signals | undefined;
  /** What the operating system said if it made no process. */
  spawnError: Error | undefined;
}

/** Starts a program as a direct child, without a shell and with nothing on its standard input. */
export function startProgram({ file, args, env }: ToolCommand): Program {
  try {
    // Nothing is ever resolved against the worker's directory.
    return programOf(spawn(file, args, { env, cwd: '/', stdio: ['ignore', 'pipe', 'pipe'] }));
  } catch (error) {
    // spawn() throws for what it does not expect, as arguments that are too long (E2BIG) or no memory.
    return notStarted(error instanceof Error ? error : new Error(String(error)));
  }
}

function programOf(child: ChildProcess): Program {
  const ended = new Promise<ProgramEnd>((resolve) => {
    // A process that runs reports an error where a signal could not be sent: its end is still to come.
    child.on('error', (spawnError) => {
      if (child.pid === undefined) resolve({ exitCode: undefined, signal: undefined, spawnError });
    });
    child.once('close', (code, signal) =>
      resolve({ exitCode: code ?? undefined, signal: signal ?? undefined, spawnError: undefined }),
    );
  });
  return {
    pid: child.pid,
    // Without a free file descriptor (EMFILE) there are no pipes.
    stdout: child.stdout ?? Readable.from([]),
    stderr: child.stderr ?? Readable.from([]),
    kill: (signal) => void child.kill(signal),
    ended,
  };
}

function notStarted(spawnError: Error): Program {
  return {
    pid: undefined,
    stdout: Readable.from([]),
    stderr: Readable.from([]),
    kill: () => undefined,
    ended: Promise.resolve({ exitCode: undefined, signal: undefined, spawnError }),
  };
}
