// Preloaded into a process under test (`node --import`): counts the operations by which it changes the world and kills
// it with SIGKILL right before the one with the wanted number, or right after it, before its caller hears of its end; or
// copies the directory before each of them. The code under test knows nothing of it.
import { appendFileSync, cpSync, readlinkSync } from 'node:fs';
import { createRequire, syncBuiltinESMExports } from 'node:module';
import type { ChildProcess } from 'node:child_process';
import { createRandom } from './random.js';
import { type FlushWatch, watchFlushes } from './unflushed.js';

const require = createRequire(import.meta.url);
const wanted = Number(process.env.STRATA_TEST_KILL_AT ?? 0);
const after = process.env.STRATA_TEST_KILL_WHEN === 'after';
const root = process.env.STRATA_TEST_KILL_ROOT ?? '/';
const log = process.env.STRATA_TEST_KILL_LOG;
const copies = process.env.STRATA_TEST_KILL_COPIES;
/** Where to write what a loss of power at the kill leaves; by chance from a seed, or the least where the seed is 0. */
const lost = process.env.STRATA_TEST_KILL_LOST;
const seed = Number(process.env.STRATA_TEST_KILL_SEED ?? 0);
/** Milliseconds from the start of the first `qemu-img commit` to the kill. */
const inCommit = process.env.STRATA_TEST_KILL_IN_COMMIT;
let count = 0;
let watch: FlushWatch | undefined;

function die(): void {
  if (lost) watch?.lose(lost, seed === 0 ? undefined : createRandom(seed));
  process.kill(process.pid, 'SIGKILL');
}

/** @returns true where the process is to be killed when the operation has ended */
function pass(what: string): boolean {
  count++;
  if (log) appendFileSync(log, `${count} ${what}\n`);
  if (copies) cpSync(root, `${copies}/${count}`, { recursive: true, preserveTimestamps: true });
  // Not earlier: the test puts the files back while the process gets ready.
  if (lost) watch ??= watchFlushes(root, `${root}.flushed`);
  watch?.look();
  if (count === wanted && !after) die();
  return count === wanted;
}

type Method = (this: unknown, ...args: unknown[]) => unknown;

function wrap(
  owner: Record<string, unknown>,
  name: string,
  describe: (args: unknown[], self: unknown) => string | undefined,
): void {
  const original = owner[name] as Method;
  owner[name] = function (this: unknown, ...args: unknown[]) {
    const what = describe(args, this);
    const last = what !== undefined && pass(what);
    if (!last) return original.apply(this, args);
    const callback = args.findIndex((arg) => typeof arg === 'function');
    // The answer never comes: nothing of the process works on it.
    if (callback !== -1) args[callback] = die;
    const result = original.apply(this, args);
    if (result instanceof Promise) return result.finally(die);
    if (callback === -1) (result as NodeJS.EventEmitter).once(name === 'spawn' ? 'exit' : 'end', die);
    return result;
  };
}

const fs = require('node:fs/promises') as Record<string, unknown> & typeof import('node:fs/promises');
for (const name of ['link', 'unlink', 'rename', 'rm', 'mkdir', 'copyFile', 'open']) {
  wrap(fs, name, ([path, flags]) => {
    const changes = name !== 'open' || (typeof flags === 'string' && flags !== 'r');
    return typeof path === 'string' && path.startsWith(root) && changes
      ? `${name} ${path.slice(root.length)}`
      : undefined;
  });
}
const handle = await fs.open('/dev/null');
const prototype = Object.getPrototypeOf(handle) as Record<string, unknown>;
await handle.close();
noteFlushes(prototype);
wrap(prototype, 'sync', () => 'fsync');

/** Tells the watch what has been flushed; inside of the counted operation, so that it knows before anybody is killed. */
function noteFlushes(owner: Record<string, unknown>): void {
  const original = owner['sync'] as (this: { fd: number }) => Promise<void>;
  owner['sync'] = async function (this: { fd: number }) {
    const path = readlinkSync(`/proc/self/fd/${this.fd}`);
    await original.call(this);
    if (path.startsWith(`${root}/`) || path === root) watch?.flushed(path);
  };
}

const processes = require('node:child_process') as Record<string, unknown>;
wrap(
  processes,
  'spawn',
  ([, args]) => `spawn ${(args as string[]).find((arg) => arg.startsWith('qemu-')) ?? ''}`,
);
if (inCommit !== undefined) {
  const spawn = processes['spawn'] as (...args: unknown[]) => ChildProcess;
  processes['spawn'] = function (this: unknown, ...args: unknown[]) {
    const child = spawn.apply(this, args);
    if (!(args[1] as string[]).includes('commit')) return child;
    const began = performance.now();
    child.once('exit', () => {
      if (log) appendFileSync(log, `commit ended after ${performance.now() - began}\n`);
    });
    setTimeout(die, Number(inCommit));
    return child;
  };
}
syncBuiltinESMExports();

const { Connection } = require('mysql2') as { Connection: { prototype: Record<string, unknown> } };
wrap(Connection.prototype, 'query', ([statement]) => {
  const sql = typeof statement === 'string' ? statement : ((statement as { sql?: string }).sql ?? '');
  const changes = /^\s*(UPDATE|INSERT|DELETE|COMMIT)/.test(sql);
  // Heartbeats, renewals and progress come by the clock: they would shift the numbers from run to run.
  const byClock = /fleet_processes|SET progress|SET lease_until/.test(sql);
  return changes && !byClock ? `sql ${sql.replace(/\s+/g, ' ').slice(0, 60)}` : undefined;
});
