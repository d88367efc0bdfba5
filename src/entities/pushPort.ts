import { Column, Entity, Index, JoinColumn, ManyToOne, PrimaryColumn, type Relation } from './orm.js';
import { BackupJob } from './backupJob.js';
import { BIGINT, BINARY_COLLATION, TIME } from './columns.js';

/**
 * A port of a host that a push export listens on. It belongs to a job under a fence: it is free when that lease is not
 * held any more, whatever became of the worker, and nobody else's release can free it.
 */
@Entity('push_ports')
@Index('ix_push_ports_backup', ['backupId'])
export class PushPort {
  @PrimaryColumn({ type: 'varchar', length: 191, ...BINARY_COLLATION })
  host!: string;

  @PrimaryColumn({ type: 'int' })
  port!: number;

  @Column({ name: 'backup_id', type: 'varchar', length: 64, ...BINARY_COLLATION })
  backupId!: string;

  @ManyToOne(() => BackupJob, { onDelete: 'CASCADE', onUpdate: 'RESTRICT' })
  @JoinColumn({ name: 'backup_id', foreignKeyConstraintName: 'fk_push_ports_backup' })
  backup?: Relation<BackupJob>;

  @Column({ ...BIGINT })
  fence!: number;

  @Column({ name: 'taken_at', ...TIME })
  takenAt!: Date;
}
