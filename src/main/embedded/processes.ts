import { readdir, readFile, readlink, stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { StrataError, errnoOf } from '../../shared/errors.js';
import { systemClock } from '../../shared/clock.js';

/** A process as /proc shows it (proc(5)). */
export interface ProcessEntry {
  pid: number;
  /** The argument vector; empty for a kernel thread or a zombie. */
  argv: string[];
}

const POLL_MS = 25;
/** What /proc answers for a process that has ended, or that is not ours to look at. */
const GONE = ['ENOENT', 'ESRCH', 'EACCES', 'EPERM'];

/** Reads a file of /proc/<pid>; undefined when the process has ended or belongs to somebody else. */
async function readProc(pid: number, file: string): Promise<string | undefined> {
  try {
    return await readFile(`/proc/${pid}/${file}`, 'utf8');
  } catch (error) {
    if (GONE.includes(errnoOf(error) ?? '')) return undefined;
    throw error;
  }
}

/** All processes that run under this user, with their arguments. Zombies have none, so no search by argument finds them. */
export async function ownProcesses(): Promise<ProcessEntry[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number);
  const entries = await Promise.all(pids.map(readOwn));
  return entries.filter((entry) => entry !== undefined);
}

async function readOwn(pid: number): Promise<ProcessEntry | undefined> {
  const cmdline = await readProc(pid, 'cmdline');
  if (cmdline === undefined || !(await isOwn(pid))) return undefined;
  return { pid, argv: cmdline.split('\0').slice(0, -1) };
}

async function isOwn(pid: number): Promise<boolean> {
  try {
    return (await stat(`/proc/${pid}`)).uid === process.geteuid?.();
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return false;
    throw error;
  }
}

/**
 * The pids of this user's processes of this program that have exactly this argument.
 * A pid read from a file proves nothing (pids are reused); the argument that names the data directory does.
 */
export async function findByArgument(program: string, argument: string): Promise<number[]> {
  const found = await ownProcesses();
  return found
    .filter(({ argv }) => basename(argv[0] ?? '') === program && argv.includes(argument))
    .map(({ pid }) => pid);
}

/** The same for a program that replaces its arguments by a title: it is known by its working directory. */
export async function findByDirectory(program: string, directory: string): Promise<number[]> {
  const found = await ownProcesses();
  const named = found.filter(({ argv }) => basename(argv[0]?.split(' ')[0] ?? '') === program);
  const directories = await Promise.all(named.map(({ pid }) => workingDirectoryOf(pid)));
  return named.filter((_, index) => directories[index] === directory).map(({ pid }) => pid);
}

async function workingDirectoryOf(pid: number): Promise<string | undefined> {
  try {
    return await readlink(`/proc/${pid}/cwd`);
  } catch (error) {
    if (GONE.includes(errnoOf(error) ?? '')) return undefined;
    throw error;
  }
}

/** The environment with which a process of this user was started; empty when it has ended. */
export async function environmentOf(pid: number): Promise<Map<string, string>> {
  const text = (await readProc(pid, 'environ')) ?? '';
  const pairs = text.split('\0').filter((pair) => pair.includes('='));
  return new Map(
    pairs.map((pair) => [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)] as const),
  );
}

/** True while the process runs. A zombie has ended: only its parent has not asked how. */
export async function isRunning(pid: number): Promise<boolean> {
  const state = (await statFields(pid))?.[0];
  return state !== undefined && state !== 'Z' && state !== 'X';
}

/** The pid of the process's parent, which is another one when that has ended; undefined when the process has ended. */
export async function parentOf(pid: number): Promise<number | undefined> {
  const fields = await statFields(pid);
  return fields && Number(fields[1]);
}

/** proc_pid_stat(5) from the state on: it follows the command, which may itself hold blanks and brackets. */
async function statFields(pid: number): Promise<string[] | undefined> {
  const text = await readProc(pid, 'stat');
  return text?.slice(text.lastIndexOf(')') + 2).split(' ');
}

/** Sends a signal; a process that has ended already is no error. */
export function sendSignal(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if (errnoOf(error) !== 'ESRCH') throw error;
  }
}

/** Waits until none of the processes runs; false when `timeoutMs` passed before. */
export async function waitUntilGone(pids: readonly number[], timeoutMs: number): Promise<boolean> {
  const deadline = systemClock.monotonicMs() + timeoutMs;
  for (;;) {
    const running = await Promise.all(pids.map(isRunning));
    if (!running.includes(true)) return true;
    if (systemClock.monotonicMs() >= deadline) return false;
    await systemClock.sleep(POLL_MS);
  }
}

/**
 * Asks processes to end, and kills those that are still there after `graceMs` milliseconds.
 * @throws service_failed when even SIGKILL does not end them (stuck in the kernel) within 10 s
 */
export async function endProcesses(
  pids: readonly number[],
  graceMs: number,
  log: (line: string) => void,
): Promise<void> {
  for (const pid of pids) sendSignal(pid, 'SIGTERM');
  if (await waitUntilGone(pids, graceMs)) return;
  log(`Processes ${pids.join(', ')} did not end within ${graceMs} ms of SIGTERM; killing them.`);
  for (const pid of pids) sendSignal(pid, 'SIGKILL');
  if (await waitUntilGone(pids, 10_000)) return;
  throw new StrataError('service_failed', `Processes ${pids.join(', ')} do not end, not even by SIGKILL.`);
}
