// Preloaded into a process under test (`node --import`): counts the operations by which it changes the world and kills
// it with SIGKILL right before the one with the wanted number, or copies the directory before each of them, as a power
// loss would leave it. The code under test knows nothing of it.
import { appendFileSync, cpSync } from 'node:fs';
import { createRequire, syncBuiltinESMExports } from 'node:module';

const require = createRequire(import.meta.url);
const wanted = Number(process.env.STRATA_TEST_KILL_AT ?? 0);
const root = process.env.STRATA_TEST_KILL_ROOT ?? '/';
const log = process.env.STRATA_TEST_KILL_LOG;
const copies = process.env.STRATA_TEST_KILL_COPIES;
let count = 0;

function pass(what: string): void {
  count++;
  if (log) appendFileSync(log, `${count} ${what}\n`);
  if (copies) cpSync(root, `${copies}/${count}`, { recursive: true, preserveTimestamps: true });
  if (count === wanted) process.kill(process.pid, 'SIGKILL');
}

type Method = (this: unknown, ...args: unknown[]) => unknown;

function wrap(
  owner: Record<string, unknown>,
  name: string,
  describe: (args: unknown[]) => string | undefined,
): void {
  const original = owner[name] as Method;
  owner[name] = function (this: unknown, ...args: unknown[]) {
    const what = describe(args);
    if (what !== undefined) pass(what);
    return original.apply(this, args);
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
wrap(Object.getPrototypeOf(handle) as Record<string, unknown>, 'sync', () => 'fsync');
await handle.close();

const processes = require('node:child_process') as Record<string, unknown>;
wrap(
  processes,
  'spawn',
  ([, args]) => `spawn ${(args as string[]).find((arg) => arg.startsWith('qemu-')) ?? ''}`,
);
syncBuiltinESMExports();

const { Connection } = require('mysql2') as { Connection: { prototype: Record<string, unknown> } };
wrap(Connection.prototype, 'query', ([statement]) => {
  const sql = typeof statement === 'string' ? statement : ((statement as { sql?: string }).sql ?? '');
  const changes = /^\s*(UPDATE|INSERT|DELETE|COMMIT)/.test(sql);
  // Heartbeats, renewals and progress come by the clock: they would shift the numbers from run to run.
  const byClock = /fleet_processes|SET progress|SET lease_until/.test(sql);
  return changes && !byClock ? `sql ${sql.replace(/\s+/g, ' ').slice(0, 60)}` : undefined;
});
