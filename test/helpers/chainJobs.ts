import { type JobKind } from '../../src/shared/jobs.js';
import type { DataSource } from 'typeorm';
import { acquireLease } from '../../src/db/job/acquire.js';
import { assertLease } from '../../src/db/job/lease.js';
import { takePosition } from '../../src/db/job/position.js';
import { inTransaction } from '../../src/db/transaction.js';
import {
  BackupChain,
  BackupJob,
  MaintenanceJob,
  type RestoreFormat,
  RestoreJob,
  RestorePoint,
  type ValidateParams,
} from '../../src/entities/index.js';
import type { HeldLease } from '../../src/services/job/holdLease.js';
import { newId } from '../../src/shared/ids.js';
import type { ChainFixture } from './chainFixture.js';

const LEASE_MS = 60_000;

/** A validation of the chain, ready to be run. */
export async function addValidation(
  ds: DataSource,
  chain: Pick<ChainFixture, 'chainId' | 'repositoryId'>,
  params: ValidateParams = { level: 'quick' },
): Promise<string> {
  const id = newId('mnt', new Date());
  const { seq, status } = await inTransaction(ds, (tx) =>
    takePosition(tx, chain.chainId, { effect: 'reads' }),
  );
  await ds.getRepository(MaintenanceJob).insert({
    id,
    chainId: chain.chainId,
    repositoryId: chain.repositoryId,
    seq,
    status,
    type: 'validate',
    params,
    createdAt: new Date(),
  });
  return id;
}

/** A restore of one of the chain's backups, ready to be run. */
export async function addRestore(
  ds: DataSource,
  chain: ChainFixture,
  wanted: { backupId: string; path: string; format: RestoreFormat; verify?: boolean; allowDamaged?: boolean },
): Promise<string> {
  const id = newId('rst', new Date());
  const { seq, status } = await inTransaction(ds, (tx) =>
    takePosition(tx, chain.chainId, { effect: 'reads' }),
  );
  await ds.getRepository(RestoreJob).insert({
    id,
    chainId: chain.chainId,
    repositoryId: chain.repositoryId,
    seq,
    status,
    backupId: wanted.backupId,
    target: { type: 'file', path: wanted.path },
    format: wanted.format,
    verify: wanted.verify ?? true,
    allowDamaged: wanted.allowDamaged ?? false,
    createdAt: new Date(),
  });
  return id;
}

/** An incremental backup of the chain's disk from a raw file, compared block by block, ready to be run. */
export async function addBackup(ds: DataSource, chain: ChainFixture, source: string): Promise<string> {
  const id = newId('bkp', new Date());
  const { chainId, repositoryId } = chain;
  const { vmContextId } = await ds.getRepository(BackupChain).findOneByOrFail({ id: chainId });
  const { seq, status } = await inTransaction(ds, (tx) => takePosition(tx, chainId, { effect: 'adds' }));
  const createdAt = new Date();
  const restorePointId = newId('rp', createdAt);
  await ds.getRepository(RestorePoint).insert({
    id: restorePointId,
    vmContextId,
    repositoryId,
    type: 'incremental',
    status: 'pending',
    createdAt,
  });
  await ds.getRepository(BackupJob).insert({
    id,
    chainId,
    seq,
    status,
    createdAt,
    restorePointId,
    vmContextId,
    diskId: 0,
    repositoryId,
    requestedType: 'incremental',
    request: {
      source: { type: 'file', path: source, format: 'raw' },
      on_broken_chain: 'full',
      has_extents: false,
    },
  });
  return id;
}

/** Takes the chain's lease for a job, from a dead holder too. */
export async function hold(
  ds: DataSource,
  kind: JobKind,
  jobId: string,
  signal: AbortSignal = new AbortController().signal,
): Promise<HeldLease> {
  await ds.query('UPDATE backup_chains SET lease_until = NULL WHERE lease_job_id = ?', [jobId]);
  const acquired = await acquireLease(ds, { kind, jobId, delivery: 1, owner: 'test', leaseMs: LEASE_MS });
  if (acquired.outcome !== 'acquired') throw new Error(`The lease was not given: ${acquired.outcome}`);
  const { lease } = acquired;
  return { lease, signal, rate: () => undefined, assertHeld: () => assertLease(ds, lease, LEASE_MS) };
}
