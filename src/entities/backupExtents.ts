import { Column, Entity, JoinColumn, ManyToOne, PrimaryColumn, type Relation } from './orm.js';
import { BackupJob } from './backupJob.js';
import { BINARY_COLLATION } from './columns.js';

/**
 * A part of a change list: pairs of unsigned 64-bit little-endian numbers, offset and length in bytes. The pairs of all
 * parts are in increasing order, without overlaps, and widened to blocks.
 */
@Entity('backup_extents')
export class BackupExtents {
  @PrimaryColumn({ name: 'backup_id', type: 'varchar', length: 64, ...BINARY_COLLATION })
  backupId!: string;

  /** Which upload it is a part of: only that of `extents_upload` of the job counts. Empty: it came with the request. */
  @PrimaryColumn({ type: 'varchar', length: 32, default: '', ...BINARY_COLLATION })
  upload!: string;

  @PrimaryColumn({ type: 'int' })
  part!: number;

  @ManyToOne(() => BackupJob, { onDelete: 'CASCADE', onUpdate: 'RESTRICT' })
  @JoinColumn({ name: 'backup_id', foreignKeyConstraintName: 'fk_backup_extents_backup' })
  backup?: Relation<BackupJob>;

  @Column({ type: 'mediumblob' })
  pairs!: Buffer;
}
