import type { LoadFigures } from '../test/helpers/load/index.js';
import { median } from './numbers.js';

/** True when nothing was lost, doubled, out of order, wrong or left behind. */
export function isFlawless({ verdict, repeated }: LoadFigures): boolean {
  const problems = [verdict.lost, verdict.outOfOrder, verdict.wrong, verdict.leftovers];
  return problems.every((each) => each.length === 0) && verdict.doubled === 0 && repeated.differently === 0;
}

/** The page docs/load-run.md. */
export function loadReport(
  figures: LoadFigures,
  { machine, load, at }: { machine: string[]; load: number[]; at: Date },
): string {
  const { options, verdict, faults, staleAttempts, failedAttempts, repeated, seconds } = figures;
  const { lost, outOfOrder, wrong, leftovers } = verdict;
  const rows: [string, string | number][] = [
    ['accepted', verdict.accepted],
    ['completed', verdict.completed],
    ['**lost** (accepted, and not completed)', lost.length],
    ['**doubled** (backups or images beyond one for each accepted)', verdict.doubled],
    ['**order violations** (FIFO, fences, parents, chain heads)', outOfOrder.length],
    [
      'requests sent twice with one Idempotency-Key, and answered differently',
      `${repeated.times}, ${repeated.differently}`,
    ],
    [
      '**wrong points** (content id of every point; bytes of every tip and of every tenth other)',
      `${wrong.length} of ${verdict.compared.ids} ids, ${verdict.compared.bytes} by bytes`,
    ],
    [
      '**left behind** (partial and unknown files, leases, queue entries, processes, sockets)',
      leftovers.length,
    ],
    [
      'workers killed, keepers killed, workers frozen',
      `${faults.workerKills}, ${faults.keeperKills}, ${faults.freezes}`,
    ],
    ['from the kill of a worker to its job running again', spread(faults.afterKillMs)],
    ['from the freeze of a worker to its job running in another', spread(faults.afterFreezeMs)],
    [
      'stale publications and commits refused by the fence',
      (staleAttempts['publish'] ?? 0) + (staleAttempts['commit'] ?? 0),
    ],
    ['stale attempts that stopped before, by what noticed it', counts(staleAttempts, ['publish', 'commit'])],
    ['attempts that failed otherwise, by error', counts(failedAttempts, [])],
    ['time, throughput', `${seconds.toFixed(0)} s, ${(verdict.completed / seconds).toFixed(2)} backups/s`],
  ];
  const lines = [
    '# Load run',
    '',
    'Written by `npm run bench:load`; do not edit. The short form of the same is a test (`test/crash/load.test.ts`).',
    '',
    `${options.chains} chains of disks of 1 to 4 MiB, ${options.backups} backups each: fulls, increments and differentials, by change lists and by`,
    `comparison, with zeroed blocks and disks that grow. ${options.workers} worker processes and a keeper, with the default lease`,
    `(${options.lease.leaseMs / 1000} s) and sweep (${options.sweepMs / 1000} s); about every ${options.faultEveryMs / 1000} s one of them is killed (SIGKILL), or frozen for longer`,
    `than the lease (SIGSTOP, then SIGCONT). Seed ${options.seed}.`,
    '',
    '| | |',
    '|---|---|',
    ...rows.map(([what, value]) => `| ${what} | ${value} |`),
    '',
    ...problemLines(figures),
    '## Machine',
    '',
    ...machine.map((line) => `- ${line}`),
    `- load (one minute) at the beginning and at the end: ${load.map((value) => value.toFixed(1)).join(', ')}`,
    `- ${at.toISOString().slice(0, 10)}`,
    '',
  ];
  return lines.join('\n');
}

function spread(times: readonly number[]): string {
  if (times.length === 0) return 'none was at work';
  const [least, middle, most] = [Math.min(...times), median(times), Math.max(...times)].map((ms) =>
    (ms / 1000).toFixed(1),
  );
  return `${middle} s (${least} .. ${most}), ${times.length} jobs`;
}

function counts(of: Record<string, number>, except: readonly string[]): string {
  const parts = Object.entries(of).filter(([name]) => !except.includes(name));
  return parts.length === 0 ? 'none' : parts.map(([name, count]) => `${name} ${count}`).join(', ');
}

function problemLines({ verdict }: LoadFigures): string[] {
  const problems = [...verdict.lost, ...verdict.outOfOrder, ...verdict.wrong, ...verdict.leftovers];
  if (problems.length === 0) return [];
  return ['## Problems', '', ...problems.slice(0, 50).map((problem) => `- ${problem}`), ''];
}
