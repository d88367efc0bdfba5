import { Column, PrimaryColumn, Entity } from './orm.js';
import { BIGINT, BINARY_COLLATION, TIME } from './columns.js';
import type { JobStatus, JobKind } from '../shared/jobs.js';

export interface JobProgress {
  phase: string;
  bytes_done: number;
  bytes_total: number | null;
  /** Bytes per second since the phase began. */
  rate: number | null;
  eta_seconds: number | null;
}

/** The life that every job on a chain has in common: one FIFO per chain, one set of states. */
export abstract class ChainJob {
  @PrimaryColumn({ type: 'varchar', length: 64, ...BINARY_COLLATION })
  id!: string;

  @Column({ name: 'chain_id', type: 'varchar', length: 64, ...BINARY_COLLATION })
  chainId!: string;

  /** Position in the chain's FIFO, given under the chain's row lock, shared by the kinds of jobs. */
  @Column({ ...BIGINT })
  seq!: number;

  @Column({ type: 'varchar', length: 16 })
  status!: JobStatus;

  /** Fence of the lease under which it runs or ran. */
  @Column({ ...BIGINT, nullable: true })
  fence!: number | null;

  /** Attempts begun, without those whose worker died; counted here because Redis may be lost. */
  @Column({ type: 'int', default: 0 })
  attempts!: number;

  /** Workers that died or froze at it; not counted as attempts. */
  @Column({ type: 'int', default: 0 })
  deaths!: number;

  /** Number of the newest queue entry for this job; older entries are stale and do nothing. */
  @Column({ type: 'int', default: 1 })
  delivery!: number;

  /** A released job is not delivered before this instant (backoff). */
  @Column({ name: 'not_before', ...TIME, nullable: true })
  notBefore!: Date | null;

  /** Set while the repository has no free slot (max_parallel_jobs): the job has no queue entry until one is free. */
  @Column({ name: 'parked_at', ...TIME, nullable: true })
  parkedAt!: Date | null;

  @Column({ type: 'int', default: 0 })
  priority!: number;

  /** Bytes per second that the job may move, besides what its repository says; NULL: no limit of its own. */
  @Column({ name: 'max_bytes_per_second', ...BIGINT, nullable: true })
  maxBytesPerSecond!: number | null;

  /** Seconds from the start of the first attempt in which the job must have ended; NULL: STRATA_JOB_DEADLINE_MS. */
  @Column({ name: 'deadline_seconds', type: 'int', nullable: true })
  deadlineSeconds!: number | null;

  @Column({ name: 'cancel_requested', type: 'boolean', default: false })
  cancelRequested!: boolean;

  @Column({ type: 'json', nullable: true })
  progress!: JobProgress | null;

  @Column({ name: 'error_code', type: 'varchar', length: 64, nullable: true })
  errorCode!: string | null;

  @Column({ name: 'error_detail', type: 'text', nullable: true })
  errorDetail!: string | null;

  @Column({ name: 'created_at', ...TIME })
  createdAt!: Date;

  @Column({ name: 'started_at', ...TIME, nullable: true })
  startedAt!: Date | null;

  @Column({ name: 'completed_at', ...TIME, nullable: true })
  completedAt!: Date | null;
}

/** The journal of multi-step work: what a recovery needs to know of the attempt before. */
@Entity('job_steps')
export class JobStep {
  @PrimaryColumn({ name: 'job_id', type: 'varchar', length: 64, ...BINARY_COLLATION })
  jobId!: string;

  @PrimaryColumn({ type: 'varchar', length: 32 })
  step!: string;

  @PrimaryColumn({ ...BIGINT })
  fence!: number;

  @Column({ type: 'varchar', length: 16 })
  state!: 'begun' | 'done';

  @Column({ type: 'json', nullable: true })
  data!: Record<string, unknown> | null;

  @Column({ name: 'started_at', ...TIME })
  startedAt!: Date;

  @Column({ name: 'finished_at', ...TIME, nullable: true })
  finishedAt!: Date | null;
}

export type ClaimMode = 'read' | 'write';

/**
 * That a running job reads or writes storage outside of the repositories. It belongs to a job under a fence: it counts for
 * nothing when that lease is not held any more, whatever became of the worker.
 */
@Entity('resource_claims')
export class ResourceClaim {
  /** The kernel that the name is valid on: containers of one host share it. */
  @PrimaryColumn({ type: 'varchar', length: 64, ...BINARY_COLLATION })
  kernel!: string;

  /** Device number, or device and inode: see storageIds. */
  @PrimaryColumn({ type: 'varchar', length: 128, ...BINARY_COLLATION })
  storage!: string;

  @PrimaryColumn({ name: 'job_id', type: 'varchar', length: 64, ...BINARY_COLLATION })
  jobId!: string;

  @Column({ type: 'varchar', length: 16, ...BINARY_COLLATION })
  kind!: JobKind;

  @Column({ type: 'varchar', length: 8, ...BINARY_COLLATION })
  mode!: ClaimMode;

  @Column({ name: 'chain_id', type: 'varchar', length: 64, ...BINARY_COLLATION })
  chainId!: string;

  @Column({ ...BIGINT })
  fence!: number;

  @Column({ name: 'claimed_at', ...TIME })
  claimedAt!: Date;
}
