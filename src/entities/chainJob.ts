import { Column, PrimaryColumn } from './orm.js';
import { BIGINT, BINARY_COLLATION, TIME } from './columns.js';
import type { JobStatus } from '../shared/jobs.js';

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
