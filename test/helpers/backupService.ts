import { tmpdir } from 'node:os';
import type { DataSource } from 'typeorm';
import { runBackup } from '../../src/services/backup/run.js';
import type { HeldLease } from '../../src/services/job/holdLease.js';
import type { ServiceDeps } from '../../src/services/deps.js';
import { systemClock } from '../../src/shared/clock.js';
import { hold } from './chainJobs.js';
import { underLease } from '../../src/services/job/under.js';

/** What a backup from a file below `sources` needs of its worker. */
export function backupDeps(ds: DataSource, sources: string): ServiceDeps {
  return {
    ds,
    clock: systemClock,
    // A killed attempt leaves its socket there.
    scratchDir: sources,
    sourcePolicy: { roots: [sources], nbdAllow: [] },
    restoreRoots: [],
    push: {
      node: 'test',
      address: '127.0.0.1',
      host: '127.0.0.1',
      ports: { first: 1, last: 1 },
      socketDir: undefined,
      tls: 'none',
      tlsDir: tmpdir(),
      connections: 1,
      silenceMs: 1000,
      patienceMs: 60_000,
    },
    audit: { blocks: 0, ppm: 0, distrustBackups: 0 },
  };
}

/** One attempt at a backup job, as a worker makes it. @param change changes the lease that the work is given */
export async function attemptBackup(
  ds: DataSource,
  jobId: string,
  sources: string,
  change: (held: HeldLease) => HeldLease = (held) => held,
): Promise<void> {
  const held = await hold(ds, 'backup', jobId);
  await runBackup(underLease(backupDeps(ds, sources), change(held), () => undefined));
}
