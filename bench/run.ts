// npm run bench -- [--quick] [--runs N] [--only full,changes,...] [--out FILE]
import { writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import type { ContestName } from './benchmarks.js';
import { choosePlace } from './place.js';
import { QUICK, REFERENCE, withRuns } from './sizes.js';

/** Seen from `dist/bench`. */
const PAGE = fileURLToPath(new URL('../../docs/benchmarks.md', import.meta.url));

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    runs: { type: 'string' },
    only: { type: 'string' },
    out: { type: 'string' },
  },
});
const chosen = values.quick ? QUICK : REFERENCE;
const sizes = values.runs === undefined ? chosen : withRuns(chosen, Number(values.runs));
if (!Number.isInteger(sizes.runs) || sizes.runs < 1) throw new Error('--runs is a whole number from 1.');
// The helpers choose their directory when they are loaded: below this one. It is removed however this process ends.
process.env['TMPDIR'] = await choosePlace(process.env['STRATA_BENCH_DIR'], sizes.roomBytes);
const { CONTESTS, runBenchmarks } = await import('./benchmarks.js');
const { report } = await import('./report.js');
const { stopTestServices } = await import('../test/helpers/services.js');
const { endRun } = await import('../test/helpers/testRun.js');

const only = values.only === undefined ? CONTESTS : values.only.split(',').map(contestName);
try {
  const part = values.only === undefined ? '' : ` -- --only ${values.only}`;
  const page = report(
    await runBenchmarks(sizes, only, (line) => console.error(line)),
    `npm run bench${part}`,
  );
  console.log(page);
  const whole = sizes.name === 'reference' && only === CONTESTS;
  // A part of the table, or one of another disk, must not stand where the whole is looked for.
  const out = values.out ?? (whole ? PAGE : undefined);
  if (out !== undefined) await writeFile(out, page);
} finally {
  await stopTestServices();
  await endRun();
}

function contestName(text: string): ContestName {
  const name = CONTESTS.find((each) => each === text);
  if (name) return name;
  throw new Error(`There is no contest "${text}"; there are ${CONTESTS.join(', ')}.`);
}
