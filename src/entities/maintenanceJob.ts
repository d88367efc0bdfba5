import { Column, Entity, Index, JoinColumn, ManyToOne, type Relation } from './orm.js';
import type { BackupChain } from './backupChain.js';
import { ChainJob } from './chainJob.js';
import { BINARY_COLLATION } from './columns.js';

export type MaintenanceType = 'validate' | 'reconcile' | 'consolidate' | 'synthetic_full' | 'rebuild';

/** What a `consolidate` removes. A list of what to keep would cost the backups that complete before its turn. */
export interface ConsolidateParams {
  remove: string[];
  /** A policy wants it, and not somebody who has named the backups: the last one that can be relied on stays. */
  by_policy?: true;
}

export type ValidationLevel = 'quick' | 'deep';

/** What a `validate` was asked for. */
export interface ValidateParams {
  level: ValidationLevel;
  /** Deep: files that a validation has read since they were written are not read again. */
  unread_only?: true;
  /** Nobody asked for it: its repository's cadence says so. */
  scheduled?: true;
}

/** What a `rebuild` was asked for: with `dry_run`, to say what it would do. */
export interface RebuildParams {
  dry_run: boolean;
}

/** What a maintenance job was asked for; a `reconcile` and a `synthetic_full` have nothing to ask. */
export type MaintenanceParams = ValidateParams | ConsolidateParams | RebuildParams | Record<string, never>;

/** Work on a chain that takes no backup, or, of a `rebuild`, on a repository: then `chain_id` is the repository's line. */
@Entity('maintenance_jobs')
@Index('uq_maintenance_jobs_seq', ['chainId', 'seq'], { unique: true })
@Index('ix_maintenance_jobs_status', ['status', 'createdAt'])
@Index('ix_maintenance_jobs_slots', ['repositoryId', 'status', 'parkedAt'])
@Index('ix_maintenance_jobs_chain_status', ['chainId', 'status', 'seq'])
export class MaintenanceJob extends ChainJob {
  @ManyToOne('BackupChain', { onDelete: 'RESTRICT', onUpdate: 'RESTRICT' })
  @JoinColumn({ name: 'chain_id', foreignKeyConstraintName: 'fk_maintenance_jobs_chain' })
  chain?: Relation<BackupChain>;

  @Column({ name: 'repository_id', type: 'varchar', length: 64, ...BINARY_COLLATION })
  repositoryId!: string;

  @Column({ type: 'varchar', length: 32 })
  type!: MaintenanceType;

  @Column({ type: 'json' })
  params!: MaintenanceParams;

  /** The report of the work. */
  @Column({ type: 'json', nullable: true })
  result!: Record<string, unknown> | null;
}
