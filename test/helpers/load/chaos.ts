import type { TestFleet } from '../fleet.js';
import { type FleetProcess, startFleetProcess } from '../fleetProcess.js';
import type { Random } from '../random.js';
import { startWorkerProcess } from '../workerProcess.js';
import { createRecoveryWatch, jobsOf } from './recovery.js';

export interface ChaosOptions {
  random: Random;
  workers: number;
  /** Mean time between two faults; each pause is from half of it to one and a half. */
  faultEveryMs: number;
  sweepMs: number;
}

/** What was done, and how long it took until the fleet was over it. */
export interface Faults {
  workerKills: number;
  keeperKills: number;
  freezes: number;
  /** From the kill of a worker to each of its jobs running again, in ms. */
  afterKillMs: number[];
  /** The same from the moment at which a worker was frozen. */
  afterFreezeMs: number[];
  /** All that the processes logged. */
  logs: string[];
}

export interface Chaos {
  faults: Faults;
  /** No more faults: what is killed or frozen comes back. */
  calm(): Promise<void>;
  stop(): Promise<void>;
}

const PERCENT = { freeze: 20, keeper: 10 };
const LONGEST_DOWN_MS = 2_000;

/** Starts the workers and a keeper, and kills and freezes them at seeded random moments; at most one is down at a time. */
export function startChaos(fleet: TestFleet, options: ChaosOptions): Chaos {
  const { random, workers: count, faultEveryMs, sweepMs } = options;
  const { clock } = fleet.accept;
  const faults: Faults = {
    workerKills: 0,
    keeperKills: 0,
    freezes: 0,
    afterKillMs: [],
    afterFreezeMs: [],
    logs: [],
  };
  const startWorker = () => startWorkerProcess(fleet, 'backup');
  const startKeeper = () =>
    startFleetProcess(fleet, { entry: 'keeper', env: { STRATA_SWEEP_MS: String(sweepMs) } });
  const workers = Array.from({ length: count }, startWorker);
  let keeper = startKeeper();
  const watch = createRecoveryWatch(fleet);
  const calming = new AbortController();

  const kill = async (process: FleetProcess, times: number[]) => {
    const victims = await jobsOf(fleet, process.child.pid ?? 0);
    process.child.kill('SIGKILL');
    await process.gone;
    await watch.add(victims, times);
    faults.logs.push(process.output());
    await clock.sleep(random.integer(0, LONGEST_DOWN_MS));
  };
  const freeze = async (process: FleetProcess) => {
    const victims = await jobsOf(fleet, process.child.pid ?? 0);
    process.child.kill('SIGSTOP');
    await watch.add(victims, faults.afterFreezeMs);
    await clock.sleep((fleet.worker.lease.leaseMs * random.integer(150, 250)) / 100);
    process.child.kill('SIGCONT');
  };
  const strike = async () => {
    const percent = random.integer(1, 100);
    const at = random.integer(0, count - 1);
    const worker = workers[at];
    if (percent <= PERCENT.keeper) {
      faults.keeperKills++;
      await kill(keeper, []);
      keeper = startKeeper();
    } else if (worker && percent <= PERCENT.keeper + PERCENT.freeze) {
      faults.freezes++;
      await freeze(worker);
    } else if (worker) {
      faults.workerKills++;
      await kill(worker, faults.afterKillMs);
      workers[at] = startWorker();
    }
  };
  const raging = (async () => {
    while (!calming.signal.aborted) {
      const pause = (faultEveryMs * random.integer(50, 150)) / 100;
      await clock.sleep(pause, calming.signal).catch(() => undefined);
      if (!calming.signal.aborted) await strike();
    }
  })();
  return {
    faults,
    calm: async () => {
      calming.abort();
      await raging;
    },
    stop: async () => {
      calming.abort();
      await raging;
      await watch.stop();
      const processes = [...workers, keeper];
      await Promise.all(processes.map((process) => process.stop()));
      faults.logs.push(...processes.map((process) => process.output()));
    },
  };
}
