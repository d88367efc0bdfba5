import { Column, Entity, Index, JoinColumn, ManyToOne, type Relation } from './orm.js';
import { BackupJob } from './backupJob.js';
import type { BackupChain } from './backupChain.js';
import { ChainJob } from './chainJob.js';
import { BINARY_COLLATION } from './columns.js';

export type RestoreFormat = 'raw' | 'qcow2' | 'vmdk' | 'vhdx' | 'vdi';

export interface RestoreTarget {
  type: 'file';
  /** Absolute; must not exist yet unless it is a block device. */
  path: string;
}

/** One backup to be written to a target. */
@Entity('restore_jobs')
@Index('uq_restore_jobs_seq', ['chainId', 'seq'], { unique: true })
@Index('ix_restore_jobs_status', ['status', 'createdAt'])
@Index('ix_restore_jobs_slots', ['repositoryId', 'status', 'parkedAt'])
@Index('ix_restore_jobs_chain_status', ['chainId', 'status', 'seq'])
export class RestoreJob extends ChainJob {
  @ManyToOne('BackupChain', { onDelete: 'RESTRICT', onUpdate: 'RESTRICT' })
  @JoinColumn({ name: 'chain_id', foreignKeyConstraintName: 'fk_restore_jobs_chain' })
  chain?: Relation<BackupChain>;

  @Column({ name: 'repository_id', type: 'varchar', length: 64, ...BINARY_COLLATION })
  repositoryId!: string;

  @Column({ name: 'backup_id', type: 'varchar', length: 64, ...BINARY_COLLATION })
  backupId!: string;

  @ManyToOne(() => BackupJob, { onDelete: 'RESTRICT', onUpdate: 'RESTRICT' })
  @JoinColumn({ name: 'backup_id', foreignKeyConstraintName: 'fk_restore_jobs_backup' })
  backup?: Relation<BackupJob>;

  @Column({ type: 'json' })
  target!: RestoreTarget;

  @Column({ type: 'varchar', length: 16 })
  format!: RestoreFormat;

  @Column({ type: 'boolean', default: true })
  verify!: boolean;

  /** A damaged backup is restored as far as it can be read; the result says what of it is wrong. */
  @Column({ name: 'allow_damaged', type: 'boolean', default: false })
  allowDamaged!: boolean;

  @Column({ type: 'json', nullable: true })
  result!: Record<string, unknown> | null;
}
