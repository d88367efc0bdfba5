import { type JobKind } from '../../src/shared/jobs.js';
import type { TestFleet } from './fleet.js';
import { type FleetProcess, startFleetProcess } from './fleetProcess.js';

/** Starts `worker.js --queue <kind>`; it dies with the test process. `env` adds to its environment. */
export function startWorkerProcess(
  fleet: TestFleet,
  kind: JobKind,
  env: Record<string, string> = {},
): FleetProcess {
  return startFleetProcess(fleet, {
    entry: 'worker',
    args: ['--queue', kind],
    env,
    preload: env.STRATA_TEST_KILL_AT === undefined ? [] : ['killAt.js'],
  });
}
