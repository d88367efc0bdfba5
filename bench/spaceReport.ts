import type { SpaceFigures } from './spaceRun.js';

/** The page docs/benchmarks-space.md. */
export function spaceReport(figures: SpaceFigures, { machine, at }: { machine: string[]; at: Date }): string {
  const { options, keep, kept, needed, merges } = figures;
  const rules = Object.entries(keep).map(([rule, count]) => `${count} ${rule}`);
  const strategies = Object.entries(merges).map(([strategy, count]) => `${count} ${strategy}`);
  const line = (what: string, bytes: number) =>
    `| ${what} | ${mib(bytes)} | **${(bytes / needed).toFixed(3)}x** |`;
  return [
    '# Space after days of backups',
    '',
    'Written by `npm run bench -- space`; do not edit.',
    '',
    `A disk of ${mib(options.diskBytes)} MiB, full of random data, of which ${options.percent} % change from day to day, in blocks of 64 KiB at random`,
    `places; ${options.days} daily backups (one full, then increments), and after each of them retention by the policy "${rules.join(', ')}".`,
    `In the end ${kept.length} points are kept: days ${kept.join(', ')}.`,
    '',
    '"Logically needed" is the oldest kept point whole and, of each further one, the blocks that differ from the kept one before.',
    '',
    '| | MiB | against what is logically needed |',
    '|---|---|---|',
    line('logically needed', needed),
    line('**taken by all files of the repository in the end**', figures.taken),
    line('the most that they took on a day, before its retention', figures.peak),
    line('for comparison: all days kept, one full and increments', figures.everything),
    line('for comparison: each kept point whole', figures.whole),
    '',
    `Merges: ${strategies.length === 0 ? 'none' : strategies.join(', ')}. A deep validation of what is left: ${figures.healthy ? 'healthy' : '**not healthy**'}. ${figures.seconds.toFixed(0)} s in all.`,
    '',
    '## Machine',
    '',
    ...machine.map((each) => `- ${each}`),
    `- ${at.toISOString().slice(0, 10)}`,
    '',
  ].join('\n');
}

function mib(bytes: number): string {
  return (bytes / 1024 ** 2).toFixed(bytes % 1024 ** 2 === 0 ? 0 : 1);
}
