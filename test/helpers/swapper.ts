import { spawn } from 'node:child_process';
import { once } from 'node:events';

/**
 * A program of its own: it gives a name to a file or directory and to a link elsewhere, in turns, a few milliseconds each. Between
 * the two the name is gone for a moment, as rename(2) has two names and no third.
 */
const PROGRAM = `
const { renameSync } = require('node:fs');
const [path, link] = process.argv.slice(1);
const aside = path + '.aside';
let go = true;
process.on('SIGTERM', () => { go = false; });
const swap = (away, to, from) => { renameSync(away, to); renameSync(from, away); };
const rest = (ms) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, Math.random() * ms);
const round = () => {
  for (let turn = 0; turn < 10; turn++) {
    swap(path, aside, link);
    rest(4);
    swap(path, link, aside);
    rest(12);
  }
  if (go) return setImmediate(round);
  process.exit(0);
};
process.stdout.write('swapping');
round();
`;

/** Exchanges `path` for the link at `link` every few milliseconds, until it is stopped; then all is as it was. */
export async function startSwapper(path: string, link: string): Promise<{ stop(): Promise<void> }> {
  const child = spawn(process.execPath, ['-e', PROGRAM, '--', path, link], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = once(child, 'exit');
  await once(child.stdout, 'data');
  return {
    stop: async () => {
      child.kill('SIGTERM');
      await exited;
    },
  };
}
