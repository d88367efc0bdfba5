// npm run bench:load -- [--chains N] [--backups N] [--workers N] [--seed N] [--out FILE]
import { writeFile } from 'node:fs/promises';
import { loadavg } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { choosePlace } from './place.js';

/** Seen from `dist/bench`. */
const PAGE = fileURLToPath(new URL('../../docs/load-run.md', import.meta.url));
const ROOM_BYTES = 4 * 1024 ** 3;
const DEADLINE_MS = 6 * 3_600_000;

const { values } = parseArgs({
  options: {
    chains: { type: 'string', default: '200' },
    backups: { type: 'string', default: '20' },
    workers: { type: 'string', default: '4' },
    seed: { type: 'string', default: '20261123' },
    out: { type: 'string' },
  },
});
// The helpers choose their directory when they are loaded: below this one. It is removed however this process ends.
process.env['TMPDIR'] = await choosePlace(process.env['STRATA_BENCH_DIR'], ROOM_BYTES);
const { runLoad } = await import('../test/helpers/load/index.js');
const { stopTestServices } = await import('../test/helpers/services.js');
const { endRun } = await import('../test/helpers/testRun.js');
const { describeMachine } = await import('./machine.js');
const { isFlawless, loadReport } = await import('./loadReport.js');

const [chains, backups, workers, seed] = [values.chains, values.backups, values.workers, values.seed].map(
  wholeNumber,
) as [number, number, number, number];
try {
  const machine = await describeMachine(process.env['TMPDIR']);
  const load = [loadavg()[0] ?? 0];
  const figures = await runLoad({
    seed,
    chains,
    backups,
    workers,
    // As the product is set up by default.
    lease: { leaseMs: 20_000, renewEveryMs: 5_000 },
    sweepMs: 5_000,
    faultEveryMs: 15_000,
    deadlineMs: DEADLINE_MS,
  });
  load.push(loadavg()[0] ?? 0);
  const page = loadReport(figures, { machine, load, at: new Date() });
  console.log(page);
  // A smaller run must not stand where the whole is looked for.
  const out = values.out ?? (chains >= 200 && backups >= 20 ? PAGE : undefined);
  if (out !== undefined) await writeFile(out, page);
  if (!isFlawless(figures)) process.exitCode = 1;
} finally {
  await stopTestServices();
  await endRun();
}

function wholeNumber(text: string): number {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  throw new Error(`"${text}" is not a whole number from 1.`);
}
