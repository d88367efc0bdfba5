import { openFleet, type TestFleet } from '../fleet.js';
import { queueProblems } from '../inOrder/queues.js';
import { createRandom } from '../random.js';
import { type Faults, startChaos } from './chaos.js';
import { planChains } from './plan.js';
import { runUpstream } from './upstream.js';
import { judgeLoad, type Verdict } from './verdict.js';

export interface LoadOptions {
  seed: number;
  chains: number;
  /** Backups of each chain. */
  backups: number;
  workers: number;
  /** Mean time between two faults. */
  faultEveryMs: number;
  lease: { leaseMs: number; renewEveryMs: number };
  sweepMs: number;
  deadlineMs: number;
}

export interface LoadFigures {
  options: LoadOptions;
  verdict: Verdict;
  faults: Omit<Faults, 'logs'>;
  /** Attempts that lost their lease and lived to notice, by what noticed it; then attempts that failed, by error code. */
  staleAttempts: Record<string, number>;
  failedAttempts: Record<string, number>;
  repeated: { times: number; differently: number };
  seconds: number;
}

/** Backups that are open at a time on each chain: some wait in the database behind the one in the queue. */
const WINDOW = 4;
/**
 * In which the entries of dead workers are ended: the last keeper that was killed has to start and to lead again first, and
 * then looks twice.
 */
const SETTLE_MS = 30_000;

/**
 * Many chains of tiny disks, backed up by several worker processes that are killed and frozen at seeded random moments,
 * as is the keeper; then all that was accepted is compared with all that is there.
 */
export async function runLoad(options: LoadOptions): Promise<LoadFigures> {
  const fleet = await openFleet({ lease: options.lease, backlogLimit: 1_000_000 });
  try {
    return await runOn(fleet, options);
  } finally {
    await fleet.close();
  }
}

async function runOn(fleet: TestFleet, options: LoadOptions): Promise<LoadFigures> {
  const { seed, chains, backups, deadlineMs } = options;
  // Each has its own source of chance: how long one takes must not change what another does.
  const plans = planChains(createRandom(seed), chains, backups);
  const chaos = startChaos(fleet, { ...options, random: createRandom(seed + 1) });
  try {
    const began = performance.now();
    const random = createRandom(seed + 2);
    const upstream = await runUpstream(fleet, { plans, random, window: WINDOW, deadlineMs });
    const seconds = (performance.now() - began) / 1000;
    await chaos.calm();
    await settle(fleet);
    await chaos.stop();
    const { logs, ...faults } = chaos.faults;
    return {
      options,
      verdict: await judgeLoad(fleet, upstream, createRandom(seed + 3)),
      faults,
      ...readLogs(logs),
      repeated: upstream.repeated,
      seconds,
    };
  } finally {
    await chaos.stop();
  }
}

/** Waits until the queues say what the catalogue says; what they still say differently at the end is for the verdict. */
async function settle(fleet: TestFleet): Promise<void> {
  const deadline = performance.now() + SETTLE_MS;
  while ((await queueProblems(fleet)).length > 0 && performance.now() < deadline)
    await fleet.accept.clock.sleep(200);
}

interface LogLine {
  msg?: string;
  err?: { code?: string };
  details?: { noticed_by?: string };
}

function readLogs(logs: readonly string[]): Pick<LoadFigures, 'staleAttempts' | 'failedAttempts'> {
  const staleAttempts: Record<string, number> = {};
  const failedAttempts: Record<string, number> = {};
  for (const line of logs.join('\n').split('\n')) {
    if (!line.includes('"the work failed"')) continue;
    const { err, details } = parse(line);
    const count = err?.code === 'lease_lost' ? staleAttempts : failedAttempts;
    const key = details?.noticed_by ?? err?.code ?? 'unknown';
    count[key] = (count[key] ?? 0) + 1;
  }
  return { staleAttempts, failedAttempts };
}

/** A killed process may have left half a line. */
function parse(line: string): LogLine {
  try {
    return JSON.parse(line) as LogLine;
  } catch {
    return {};
  }
}
