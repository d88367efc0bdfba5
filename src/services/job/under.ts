import type { RateLimit } from '../../datapath/index.js';
import type { ReportProgress, ServiceDeps } from '../deps.js';
import type { HeldLease } from './holdLease.js';

/** What every call of the data path and of a QEMU tool takes from the attempt that makes it: spread it into the call. */
export interface Io {
  /** Aborts when the attempt has to end. */
  signal: AbortSignal;
  /** Limits the average rate of reading and writing in the repository. */
  rate: RateLimit;
  /** Private directory of the process for unix sockets. */
  scratchDir: string;
}

type LeastDeps = Pick<ServiceDeps, 'ds' | 'clock' | 'scratchDir'>;

/** What one attempt at a job works under. The verbs extend it where they know more. */
export interface Under<Deps extends LeastDeps = LeastDeps> {
  deps: Deps;
  /** The lease of the job's chain. */
  held: HeldLease;
  io: Io;
  report: ReportProgress;
}

export function underLease<Deps extends LeastDeps>(
  deps: Deps,
  held: HeldLease,
  report: ReportProgress,
): Under<Deps> {
  const { signal, rate } = held;
  return { deps, held, io: { signal, rate, scratchDir: deps.scratchDir }, report };
}
