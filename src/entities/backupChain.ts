import { Column, Entity, Index, JoinColumn, ManyToOne, PrimaryColumn, type Relation } from './orm.js';
import type { ChainJob } from './chainJob.js';
import { BIGINT, BINARY_COLLATION, TIME } from './columns.js';
import type { Health } from './health.js';
import { VmDisk } from './vmDisk.js';

/**
 * The backups of one disk of one VM context, its FIFO counter, its lease and its fence. A row without a disk is the line of a
 * repository (db/job/line.ts), of which only these last three are used.
 */
@Entity('backup_chains')
@Index('uq_backup_chains_disk', ['vmContextId', 'diskId'], { unique: true })
@Index('uq_backup_chains_repository', ['repositoryId'], { unique: true })
@Index('ix_backup_chains_lease_until', ['leaseUntil'])
@Index('ix_backup_chains_health', ['health', 'id'])
export class BackupChain {
  @PrimaryColumn({ type: 'varchar', length: 64, ...BINARY_COLLATION })
  id!: string;

  /** NULL, as is `disk_id`, in the line of a repository only, which is never read as a chain. */
  @Column({ name: 'vm_context_id', type: 'varchar', length: 191, nullable: true, ...BINARY_COLLATION })
  vmContextId!: string;

  @Column({ name: 'disk_id', type: 'int', nullable: true })
  diskId!: number;

  /** Of a line; the repository of a chain is that of its VM. */
  @Column({ name: 'repository_id', type: 'varchar', length: 64, nullable: true, ...BINARY_COLLATION })
  repositoryId!: string | null;

  @ManyToOne('Repository', { onDelete: 'RESTRICT', onUpdate: 'RESTRICT' })
  @JoinColumn({ name: 'repository_id', foreignKeyConstraintName: 'fk_backup_chains_repository' })
  repository?: Relation<object>;

  @ManyToOne(() => VmDisk, { onDelete: 'RESTRICT', onUpdate: 'RESTRICT' })
  @JoinColumn([
    {
      name: 'vm_context_id',
      referencedColumnName: 'vmContextId',
      foreignKeyConstraintName: 'fk_backup_chains_disk',
    },
    { name: 'disk_id', referencedColumnName: 'diskId', foreignKeyConstraintName: 'fk_backup_chains_disk' },
  ])
  disk?: Relation<VmDisk>;

  /** Full of the current segment; NULL until a backup has completed. */
  @Column({ name: 'full_backup_id', type: 'varchar', length: 64, nullable: true, ...BINARY_COLLATION })
  fullBackupId!: string | null;

  @ManyToOne('BackupJob', { onDelete: 'RESTRICT', onUpdate: 'RESTRICT' })
  @JoinColumn({ name: 'full_backup_id', foreignKeyConstraintName: 'fk_backup_chains_full' })
  fullBackup?: Relation<ChainJob>;

  @Column({ name: 'latest_backup_id', type: 'varchar', length: 64, nullable: true, ...BINARY_COLLATION })
  latestBackupId!: string | null;

  @ManyToOne('BackupJob', { onDelete: 'RESTRICT', onUpdate: 'RESTRICT' })
  @JoinColumn({ name: 'latest_backup_id', foreignKeyConstraintName: 'fk_backup_chains_latest' })
  latestBackup?: Relation<ChainJob>;

  /** Whose file is being switched for a merged one: settled before any other work on the chain. */
  @Column({ name: 'merging_backup_id', type: 'varchar', length: 64, nullable: true, ...BINARY_COLLATION })
  mergingBackupId!: string | null;

  @ManyToOne('BackupJob', { onDelete: 'RESTRICT', onUpdate: 'RESTRICT' })
  @JoinColumn({ name: 'merging_backup_id', foreignKeyConstraintName: 'fk_backup_chains_merging' })
  mergingBackup?: Relation<ChainJob>;

  @Column({ name: 'total_backups', type: 'int', default: 0 })
  totalBackups!: number;

  @Column({ name: 'total_size_bytes', ...BIGINT, default: 0 })
  totalSizeBytes!: number;

  /** FIFO position given to the newest job of the chain, of whatever kind. */
  @Column({ name: 'last_seq', ...BIGINT, default: 0 })
  lastSeq!: number;

  /** Grows with every lease that is taken. */
  @Column({ ...BIGINT, default: 0 })
  fence!: number;

  /** The highest fence that has committed. */
  @Column({ ...BIGINT, default: 0 })
  committed!: number;

  @Column({ name: 'lease_owner', type: 'varchar', length: 191, nullable: true })
  leaseOwner!: string | null;

  @Column({ name: 'lease_job_id', type: 'varchar', length: 64, nullable: true, ...BINARY_COLLATION })
  leaseJobId!: string | null;

  /** By the database's clock. */
  @Column({ name: 'lease_until', ...TIME, nullable: true })
  leaseUntil!: Date | null;

  @Column({ type: 'varchar', length: 16, default: 'ok' })
  health!: Health;

  /** So many further backups compare the whole disk, because the tracker was caught lying; a full ends it. */
  @Column({ name: 'tracker_distrust', type: 'int', default: 0 })
  trackerDistrust!: number;

  /** Backups completed after the segment's full; counted here because merging removes backups. */
  @Column({ name: 'backups_since_full', type: 'int', default: 0 })
  backupsSinceFull!: number;

  /** The instant of the data of the last full that was read from the source. */
  @Column({ name: 'full_at', ...TIME, nullable: true })
  fullAt!: Date | null;

  @Column({ name: 'last_validated_at', ...TIME, nullable: true })
  lastValidatedAt!: Date | null;

  /** All of its files were read and compared after this instant. */
  @Column({ name: 'deep_validated_at', ...TIME, nullable: true })
  deepValidatedAt!: Date | null;
}
