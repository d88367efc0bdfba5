import { type JobKind } from '../../src/shared/jobs.js';
import type { TestFleet } from './fleet.js';
import type { FleetProcess } from './fleetProcess.js';
import { startWorkerProcess } from './workerProcess.js';

/** Real worker processes, each replaced at once when it is killed, as PM2 does. */
export interface Workforce {
  /** Kills the process that holds the lease for a job; false where none does, or not any more. */
  killWorkerOf(jobId: string): Promise<boolean>;
  stop(): Promise<void>;
}

export function startWorkforce(fleet: TestFleet, kinds: readonly JobKind[]): Workforce {
  const processes = new Map<number, { process: FleetProcess; kind: JobKind }>();
  const start = (kind: JobKind) => {
    const process = startWorkerProcess(fleet, kind);
    processes.set(process.child.pid ?? 0, { process, kind });
  };
  for (const kind of kinds) start(kind);
  return {
    killWorkerOf: async (jobId) => {
      // A lease's owner is host:pid:random.
      const rows = await fleet.suite.ds.query<{ lease_owner: string }[]>(
        'SELECT lease_owner FROM backup_chains WHERE lease_job_id = ?',
        [jobId],
      );
      const pid = Number(rows[0]?.lease_owner.split(':').at(-2));
      const holder = processes.get(pid);
      if (!holder) return false;
      holder.process.child.kill('SIGKILL');
      processes.delete(pid);
      await holder.process.gone;
      start(holder.kind);
      return true;
    },
    stop: async () => {
      await Promise.all([...processes.values()].map(({ process }) => process.stop()));
    },
  };
}
