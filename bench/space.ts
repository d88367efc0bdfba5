// npm run bench -- space [--mib N] [--days N] [--percent N] [--out FILE]
import { writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { choosePlace } from './place.js';

/** Seen from `dist/bench`. */
const PAGE = fileURLToPath(new URL('../../docs/benchmarks-space.md', import.meta.url));
const MIB = 1024 ** 2;
/** The disk, its chain, and the copies of its merges. */
const TIMES = 6;
const WHOLE_DAYS = 60;

const { values } = parseArgs({
  options: {
    mib: { type: 'string', default: '256' },
    days: { type: 'string', default: String(WHOLE_DAYS) },
    percent: { type: 'string', default: '3' },
    out: { type: 'string' },
  },
});
const [mib, days, percent] = [values.mib, values.days, values.percent].map(wholeNumber) as [
  number,
  number,
  number,
];
const diskBytes = mib * MIB;
// The helpers choose their directory when they are loaded: below this one. It is removed however this process ends.
process.env['TMPDIR'] = await choosePlace(process.env['STRATA_BENCH_DIR'], TIMES * diskBytes);
const { stopTestServices } = await import('../test/helpers/services.js');
const { endRun } = await import('../test/helpers/testRun.js');
const { describeMachine } = await import('./machine.js');
const { runSpace } = await import('./spaceRun.js');
const { spaceReport } = await import('./spaceReport.js');
try {
  const machine = await describeMachine(process.env['TMPDIR']);
  const figures = await runSpace({ diskBytes, days, percent }, (line) => console.error(line));
  const page = spaceReport(figures, { machine, at: new Date() });
  console.log(page);
  // A smaller run must not stand where the whole is looked for.
  const out = values.out ?? (days === WHOLE_DAYS ? PAGE : undefined);
  if (out !== undefined) await writeFile(out, page);
  if (!figures.healthy) process.exitCode = 1;
} finally {
  await stopTestServices();
  await endRun();
}

function wholeNumber(text: string): number {
  if (/^[1-9]\d{0,5}$/.test(text)) return Number(text);
  throw new Error(`"${text}" is not a whole number from 1.`);
}
