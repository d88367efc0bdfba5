// One file for each table that is a noun of its own; all are imported through the index.
import { Column, Entity, Index, JoinColumn, ManyToOne, type Relation } from './orm.js';
import type { BackupChain } from './backupChain.js';
import type { MaintenanceParams, MaintenanceType } from '../shared/jobs.js';
import { ChainJob } from './chainJob.js';
import { BINARY_COLLATION } from './columns.js';

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
