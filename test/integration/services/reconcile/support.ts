import { tmpdir } from 'node:os';
import { utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { DataSource } from 'typeorm';
import { takePosition } from '../../../../src/db/job/position.js';
import { inTransaction } from '../../../../src/db/transaction.js';
import { JobStep, MaintenanceJob } from '../../../../src/entities/index.js';
import { PUBLISH_STEP } from '../../../../src/db/job/journal.js';
import { sidecarsOf } from '../../../../src/services/repository/layout.js';
import {
  type Action,
  GRACE_MS,
  planRepository,
  runReconcile,
} from '../../../../src/services/reconcile/index.js';
import { systemClock } from '../../../../src/shared/clock.js';
import { newId } from '../../../../src/shared/ids.js';
import type { ChainFixture } from '../../../helpers/chainFixture.js';
import { hold } from '../../../helpers/chainJobs.js';
import { filesBelow } from '../../../helpers/namesBelow.js';
import { underLease } from '../../../../src/services/job/under.js';

export const signal = new AbortController().signal;

/** Writes a file that is older than the grace period. */
export async function writeOld(path: string, content = 'left behind'): Promise<void> {
  await writeFile(path, content);
  const old = new Date(Date.now() - GRACE_MS - 60_000);
  await utimes(path, old, old);
}

/** The plan for the whole repository, as lines: action, reason, file below the disk's directory. */
export async function plan(ds: DataSource, chain: ChainFixture): Promise<string[]> {
  const repository = { id: chain.repositoryId, rootPath: chain.root };
  const { actions } = await planRepository({ ds, repository, nowMs: Date.now(), graceMs: GRACE_MS, signal });
  return actions.map(line);
}

export function line({ action, reason, file }: Action): string {
  return `${action} ${reason} ${file.slice(file.lastIndexOf('/') + 1)}`;
}

/** Adds a reconciliation to the chain's FIFO. */
export async function addReconcile(ds: DataSource, chain: ChainFixture): Promise<string> {
  const id = newId('mnt', new Date());
  const { seq, status } = await inTransaction(ds, (tx) => takePosition(tx, chain.chainId));
  const { chainId, repositoryId } = chain;
  const createdAt = new Date();
  const row = { id, chainId, repositoryId, seq, status, type: 'reconcile' as const, params: {}, createdAt };
  await ds.getRepository(MaintenanceJob).insert(row);
  return id;
}

/** Reconciles a chain as a worker does. */
export async function reconcile(
  ds: DataSource,
  chain: ChainFixture,
): Promise<{ did: string[]; quarantined: string[] }> {
  const jobId = await addReconcile(ds, chain);
  const held = await hold(ds, 'maintenance', jobId);
  const deps = { ds, clock: systemClock, scratchDir: tmpdir() };
  const { result } = await runReconcile(underLease(deps, held, () => undefined));
  return { did: result.actions.map(line), quarantined: result.quarantined };
}

/** All files below the quarantine, relative to the root. */
export async function quarantined(chain: ChainFixture): Promise<string[]> {
  return (await filesBelow(join(chain.root, '.quarantine'))).map((path) => join('.quarantine', path));
}

/** Lets the journal say that the backup's job has begun to publish its files. */
export async function journalPublish(
  ds: DataSource,
  { id, path }: { id: string; path: string },
): Promise<void> {
  const step = { jobId: id, step: PUBLISH_STEP, state: 'begun' as const, fence: 4 };
  await ds.getRepository(JobStep).insert({ ...step, data: { ...sidecarsOf(path) }, startedAt: new Date() });
}
