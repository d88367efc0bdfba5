import { once } from 'node:events';
import { StrataError } from '../shared/errors.js';
import { type ForeignFile, inheritedPath } from './foreignImage.js';
import type { ToolCall } from './toolCall.js';
import type { ToolOptions } from './toolOptions.js';
import { checkExit, startTool, type ToolProcess } from './toolProcess.js';

/**
 * Takes the lock that a QEMU reader takes which wants nobody to write: open file description locks (fcntl(2), F_OFD_SETLK 37,
 * F_OFD_GETLK 36; type, whence, start, length and pid of struct flock on 64-bit Linux) on bytes of the file, as in
 * block/file-posix.c of QEMU: a shared lock on byte 100 + n says that permission n is used, on 200 + n that it is not granted
 * to others; 0 is consistent read, 1 write, 3 resize. First all are set, then those of others are looked for.
 *
 * Why not `qemu-nbd -r`: of a raw image it does not lock out writers (7.2), and its other ways to do so are for debugging.
 * Node.js has no such locks. The file is opened and locked, never read.
 */
const HOLD = `
use strict; use Fcntl;
sub flock64 { pack('s s x4 q q l x4', @_) }
my @held;
for my $path (@ARGV) {
  sysopen(my $file, $path, O_RDONLY | O_NONBLOCK) or do { print STDERR "$path: $!\\n"; exit 3 };
  for my $byte (100, 201, 203) {
    my $lock = flock64(0, 0, $byte, 1, 0);
    next if fcntl($file, 37, $lock);
    print STDERR "Cannot lock $path: $!\\n"; exit 4;
  }
  for my $byte (101, 103, 200) {
    my $lock = flock64(1, 0, $byte, 1, 0);
    fcntl($file, 36, $lock) or do { print STDERR "Cannot lock $path: $!\\n"; exit 4 };
    my ($type) = unpack('s', $lock);
    next if $type == 2;
    print STDERR "$path is open for writing\\n"; exit 5;
  }
  push @held, $file;
}
$| = 1; print "held\\n";
sleep 3600 while 1;
`;
const EXIT_NO_LOCKS = 4;
const EXIT_IN_USE = 5;

/** Opening a file of a network file system, and asking its server for locks. */
const START_MS = 60_000;

/** Files that nobody opens for writing, of those that use QEMU's locks. */
export interface FileLock {
  /** False once the process that holds the lock has ended. */
  isHeld(): boolean;
  /** Gives the lock up. Never rejects; may be called again. */
  close(): Promise<void>;
}

/**
 * Locks files or block devices as a QEMU tool does that reads them and lets nobody write: it fails beside a guest that has one
 * of them, and a guest that comes later fails. Other readers are let in. A process of its own holds the lock; it ends with this
 * one, and is gone when the signal has aborted.
 * @throws source_in_use; source_unsupported where the file system takes no locks; tool_missing, tool_timeout, tool_failed
 */
export async function lockFiles(files: readonly ForeignFile[], options: ToolOptions = {}): Promise<FileLock> {
  const call: ToolCall = {
    tool: 'perl',
    args: ['-e', HOLD, ...files.map((_, index) => inheritedPath(index))],
    deadlineMs: Number.POSITIVE_INFINITY,
    // The very files that are held open, and no sandbox: nothing of them is read.
    foreign: { files },
  };
  const running = startTool(call, options);
  let ended = false;
  void running.exited.then(() => {
    ended = true;
  });
  if (!(await isReady(running, options.deadlineMs ?? START_MS))) {
    const exit = await running.exited;
    throw asLockError(exit.exitCode, exit.stderr) ?? failure(call, options, exit);
  }
  return {
    isHeld: () => !ended,
    close: async () => {
      running.terminate();
      await running.exited;
    },
  };
}

/** Whether all locks are taken; false when it ended without. */
async function isReady(running: ToolProcess, deadlineMs: number): Promise<boolean> {
  const late = setTimeout(() => running.stop(timeout(deadlineMs)), deadlineMs);
  try {
    const said = once(running.stdout, 'data').then(() => true);
    return await Promise.race([said, running.exited.then(() => false)]);
  } finally {
    clearTimeout(late);
  }
}

function asLockError(exitCode: number | undefined, stderr: string): StrataError | undefined {
  const details = { stderr };
  switch (exitCode) {
    case EXIT_IN_USE:
      return new StrataError('source_in_use', 'Another program has the source open for writing.', {
        details,
      });
    case EXIT_NO_LOCKS:
      return new StrataError(
        'source_unsupported',
        'The file system of the source takes no locks, so that nobody can tell whether a machine writes to it. If none does, state force_share.',
        { details },
      );
    default:
      return undefined;
  }
}

function failure(call: ToolCall, options: ToolOptions, exit: Awaited<ToolProcess['exited']>): Error {
  try {
    checkExit(call, exit, options, []);
  } catch (error) {
    if (error instanceof Error) return error;
  }
  return new StrataError('internal', 'The lock holder ended in no known way.');
}

function timeout(deadlineMs: number): StrataError {
  return new StrataError('tool_timeout', `The source could not be locked within ${deadlineMs} ms.`);
}
