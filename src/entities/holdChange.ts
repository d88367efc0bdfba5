import { Column, Entity, JoinColumn, ManyToOne, PrimaryColumn, type Relation } from './orm.js';
import { BackupJob } from './backupJob.js';
import { BINARY_COLLATION } from './columns.js';

/** A backup's protection was changed, and the record in its repository is still to be changed with it. */
@Entity('hold_changes')
export class HoldChange {
  @PrimaryColumn({ name: 'backup_id', type: 'varchar', length: 64, ...BINARY_COLLATION })
  backupId!: string;

  @ManyToOne(() => BackupJob, { onDelete: 'CASCADE', onUpdate: 'RESTRICT' })
  @JoinColumn({ name: 'backup_id', foreignKeyConstraintName: 'fk_hold_changes_backup' })
  backup?: Relation<BackupJob>;

  /** Another one for each change, so that a record of an older one settles nothing. */
  @Column({ name: 'change_id', type: 'varchar', length: 36, ...BINARY_COLLATION })
  changeId!: string;
}
