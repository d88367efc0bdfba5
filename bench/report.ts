import type { Calls, CallsOfBoth } from './calls.js';
import type { WorkerMemory } from './contests/memory.js';
import { median } from './numbers.js';
import type { Parts } from './parts.js';
import { judge, type Row, times, typicalRun, type Verdict } from './row.js';
import type { Sizes } from './sizes.js';

export interface Results {
  sizes: Sizes;
  rows: Row[];
  parts: Parts[];
  calls: CallsOfBoth | undefined;
  memory: WorkerMemory[];
  machine: string[];
  /** Load of the machine (1 minute) at the beginning, before each contest and at the end. */
  load: number[];
  at: Date;
}

/**
 * The page docs/benchmarks.md, or one of a part of the contests.
 * @param command what has measured it
 */
export function report(results: Results, command = 'npm run bench'): string {
  const { sizes, rows, machine, load, at } = results;
  const lines = [
    '# Benchmarks',
    '',
    `Written by \`${command}\`; do not edit. Each line compares two ways of doing one thing, in turns, in one run on one`,
    `machine: medians of ${sizes.runs} rounds (of large merges ${sizes.merges[1].runs}), and the ratio of the medians. "Spread" is the smallest and the largest ratio of a`,
    'single round. Our times run from the request to the moment at which the catalogue says `completed`, everything flushed,',
    'with the default settings; the other side has no catalogue, no digests and no checks.',
    '',
    `Disk: ${gib(sizes.virtualBytes)} virtual, ${gib(sizes.dataBytes)} of random data in pieces of 1 MiB.` +
      (sizes.name === 'reference'
        ? ''
        : ` **Not the reference disk (\`--${sizes.name}\`): the figures say little.**`),
    '',
    '| what | against | ours, s | theirs, s | ratio | spread | goal | |',
    '|---|---|---|---|---|---|---|---|',
    ...rows.map(tableLine),
    '',
    ...missed(rows),
    ...callsTable(results.calls),
    ...memoryTable(results.memory),
    ...partsTable(results.parts),
    '## Where the time goes',
    '',
    'The programs that ran during the run nearest to the median: from and to, in seconds since the request. What no program',
    'covers is the worker itself: catalogue, digests, fsync.',
    '',
    // Lines that tell of the same runs against different others follow each other.
    ...rows.filter((row, at) => row.ours !== rows[at - 1]?.ours).flatMap(toolLines),
    '',
    '## Machine',
    '',
    ...machine.map((line) => `- ${line}`),
    `- load (one minute) at the beginning, before each contest and at the end: ${load.map((value) => value.toFixed(1)).join(', ')};`,
    '  above the number of processors, others took part of the machine',
    `- ${at.toISOString().slice(0, 10)}`,
    '',
  ];
  return lines.join('\n');
}

function tableLine(row: Row): string {
  const verdict = judge(row);
  const unit = row.theirs ? 'x' : ' s';
  const cells = [
    row.what,
    row.against === '' ? '–' : row.against,
    seconds(times(row.ours)),
    row.theirs ? seconds(times(row.theirs)) : '–',
    `**${verdict.value.toFixed(2)}${unit}**`,
    `${verdict.min.toFixed(2)} .. ${verdict.max.toFixed(2)}`,
    row.goal === undefined ? '–' : `<= ${row.goal}${unit}`,
    verdictWord(verdict),
  ];
  return `| ${cells.join(' | ')} |`;
}

function verdictWord({ met }: Verdict): string {
  if (met === undefined) return 'told only';
  return met ? 'met' : '**missed**';
}

function missed(rows: readonly Row[]): string[] {
  const lines = rows.filter((row) => judge(row).met === false);
  if (lines.length === 0) return [];
  return [
    '## What bounds the missed ones',
    '',
    ...lines.map((row) => `- *${row.what}* against ${row.against || 'its goal'}: ${row.bounds}`),
    '',
  ];
}

function partsTable(traced: readonly Parts[]): string[] {
  const [first] = traced;
  if (!first) return [];
  const lines = first.parts.map(({ name }, index) => {
    const lengths = traced.map(
      ({ parts }) => (parts[index]?.toMs ?? Number.NaN) - (parts[index]?.fromMs ?? 0),
    );
    return `| ${name} | ${median(lengths).toFixed(0)} | ${Math.min(...lengths).toFixed(0)} .. ${Math.max(...lengths).toFixed(0)} |`;
  });
  return [
    '## The fixed cost, in parts',
    '',
    'Medians of the same backup by a worker that notes when each step begins.',
    '',
    '| part | ms | spread |',
    '|---|---|---|',
    ...lines,
    '',
  ];
}

function callsTable(calls: CallsOfBoth | undefined): string[] {
  if (!calls) return [];
  const line = (who: string, { sql, scripts, commands }: Calls) =>
    `| ${who} | ${sql.toFixed(1)} | ${scripts.toFixed(1)} | ${commands.toFixed(1)} |`;
  return [
    '## Calls per job',
    '',
    'Of a backup that copies nothing, by the servers’ own counters: statements sent to MariaDB; Lua scripts called in Redis,',
    'and all its commands with those that the scripts ran.',
    '',
    '| | SQL statements | Redis scripts | Redis commands |',
    '|---|---|---|---|',
    line('Strata', calls.ours),
    line('bare BullMQ', calls.theirs),
    '',
  ];
}

/** The goal for a disk a thousand times as large, in MiB. */
const MORE_MEMORY_MIB = 64;

function memoryTable(memory: readonly WorkerMemory[]): string[] {
  const [usual, large] = memory;
  if (!usual || !large) return [];
  const mib = (bytes: number) => (bytes / 1024 ** 2).toFixed(0);
  const line = (what: string, peak: (of: WorkerMemory) => number) => {
    const more = peak(large) - peak(usual);
    const verdict = more <= MORE_MEMORY_MIB * 1024 ** 2 ? 'met' : '**missed**';
    return `| ${what} | ${mib(peak(usual))} | ${mib(peak(large))} | ${mib(more)} | <= ${MORE_MEMORY_MIB} | ${verdict} |`;
  };
  return [
    '## Memory of a worker',
    '',
    'Peak of a worker process of its own, in MiB, the QEMU tools not counted.',
    '',
    `| after | ${gib(usual.diskBytes)} | ${gib(large.diskBytes)} | difference | goal | |`,
    '|---|---|---|---|---|---|',
    line('a full and a comparison of a sparse disk', ({ peakBytes }) => peakBytes),
    line('a deep validation of the two', ({ validationPeakBytes }) => validationPeakBytes),
    line('one that builds both digest indexes anew', ({ rebuildPeakBytes }) => rebuildPeakBytes),
    '',
  ];
}

function toolLines(row: Row): string[] {
  const { tools = [], ms } = typicalRun(row);
  if (tools.length === 0) return [];
  const spans = tools.map(
    ({ tool, fromMs, toMs }) => `\`${tool}\` ${(fromMs / 1000).toFixed(2)}–${(toMs / 1000).toFixed(2)}`,
  );
  const shown = spans.length > 8 ? [...spans.slice(0, 4), `${spans.length - 5} more`, spans.at(-1)] : spans;
  return [`- ${row.what} (${(ms / 1000).toFixed(2)} s): ${shown.join(', ')}`];
}

function seconds(milliseconds: readonly number[]): string {
  const [middle, least, most] = [
    median(milliseconds),
    Math.min(...milliseconds),
    Math.max(...milliseconds),
  ].map((value) => (value / 1000).toFixed(median(milliseconds) < 100 ? 4 : 2));
  return `${middle} (${least} .. ${most})`;
}

function gib(bytes: number): string {
  return bytes >= 1024 ** 3 ? `${bytes / 1024 ** 3} GiB` : `${bytes / 1024 ** 2} MiB`;
}
