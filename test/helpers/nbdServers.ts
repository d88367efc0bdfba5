import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** A real NBD server that runs until it is stopped, and dies with the test process. */
export interface NbdServer {
  /** `nbd+unix:///<export>?socket=...`; `exportName` as given, or the default export. */
  uri(exportName?: string): string;
  socketPath: string;
  child: ChildProcess;
  /** Everything that it printed. */
  output(): string;
  /** Ends it (also when stopped by SIGSTOP) and removes its folder. Safe to repeat. */
  stop(): Promise<void>;
}

const START_MS = 10_000;
const STOP_MS = 3000;

/** `qemu-nbd` on a unix socket; persistent, 16 clients. `args` come before the image. */
export function startQemuNbd(image: string, ...args: string[]): Promise<NbdServer> {
  return start('qemu-nbd', (socket, pid) => [
    '-t',
    '-e',
    '16',
    '-k',
    socket,
    '--pid-file',
    pid,
    ...args,
    image,
  ]);
}

/** `nbdkit` on a unix socket; `args` are filters, plugin and parameters. */
export function startNbdkit(...args: string[]): Promise<NbdServer> {
  return start('nbdkit', (socket, pid) => ['-f', '-U', socket, '-P', pid, ...args]);
}

/** `qemu-storage-daemon` with an NBD server on a unix socket; `args` define block devices and exports. */
export function startStorageDaemon(...args: string[]): Promise<NbdServer> {
  return start('qemu-storage-daemon', (socket, pid) => [
    '--pidfile',
    pid,
    '--nbd-server',
    `addr.type=unix,addr.path=${socket},max-connections=16`,
    ...args,
  ]);
}

async function start(tool: string, argsFor: (socket: string, pid: string) => string[]): Promise<NbdServer> {
  const folder = await mkdtemp(join(tmpdir(), 'strata-nbd-'));
  const socketPath = join(folder, 'socket');
  const pidFile = join(folder, 'pid');
  const args = ['--pdeathsig', 'KILL', '--', tool, ...argsFor(socketPath, pidFile)];
  const child = spawn('setpriv', args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let text = '';
  child.stdout.on('data', (chunk) => (text += String(chunk)));
  child.stderr.on('data', (chunk) => (text += String(chunk)));
  const server: NbdServer = {
    uri: (exportName = '') => `nbd+unix:///${encodeURIComponent(exportName)}?socket=${socketPath}`,
    socketPath,
    child,
    output: () => text,
    stop: async () => {
      await end(child);
      await rm(folder, { recursive: true, force: true });
    },
  };
  try {
    await ready(child, pidFile, () => `${tool} ${args.join(' ')}\n${text}`);
    return server;
  } catch (error) {
    await server.stop();
    throw error;
  }
}

/** All three tools write their pid file once they listen. */
async function ready(child: ChildProcess, pidFile: string, describe: () => string): Promise<void> {
  const deadline = performance.now() + START_MS;
  while (true) {
    const exists = await access(pidFile).then(
      () => true,
      () => false,
    );
    if (exists) return;
    if (child.exitCode !== null || child.signalCode !== null)
      throw new Error(`The server ended: ${describe()}`);
    if (performance.now() > deadline) throw new Error(`The server did not start: ${describe()}`);
    await sleep(10);
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGTERM');
  const killer = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
  await exited;
  clearTimeout(killer);
}
