import { Column, Entity, Index, JoinColumn, ManyToOne, PrimaryColumn, type Relation } from './orm.js';
import { BINARY_COLLATION, TIME } from './columns.js';
import { VmContext } from './vmContext.js';

export type RestorePointStatus =
  | 'pending'
  | 'running'
  | 'completed'
  | 'completed_with_warnings'
  | 'failed'
  | 'cancelled'
  /** None of its backups is left. */
  | 'expired';

/** Something about a disk that whoever reads the restore point should know (docs/operations.md lists the codes). */
export interface PointNote {
  disk_id: number;
  code: PointNoteCode;
}

/** Read from a source that others may have written to meanwhile: it says `force_share`. */
export const SOURCE_SHARED = 'source_shared';
/** QEMU has marked the source as corrupt: what it reads of it may be wrong. */
export const SOURCE_CORRUPT = 'source_corrupt';

export const POINT_NOTES = [
  'disk_added',
  'disk_left_out',
  'disk_retired',
  'disk_grown',
  'disk_shrunk',
  'tracker_lied',
  'tracker_doubted',
  'source_unreadable',
  SOURCE_SHARED,
  SOURCE_CORRUPT,
] as const;
export type PointNoteCode = (typeof POINT_NOTES)[number];

/** The backups of all disks of a VM taken at one instant, as a set. */
@Entity('restore_points')
@Index('ix_restore_points_vm', ['vmContextId', 'createdAt'])
export class RestorePoint {
  @PrimaryColumn({ type: 'varchar', length: 64, ...BINARY_COLLATION })
  id!: string;

  @Column({ name: 'vm_context_id', type: 'varchar', length: 191, ...BINARY_COLLATION })
  vmContextId!: string;

  @ManyToOne(() => VmContext, { onDelete: 'RESTRICT', onUpdate: 'RESTRICT' })
  @JoinColumn({ name: 'vm_context_id', foreignKeyConstraintName: 'fk_restore_points_vm_context' })
  vmContext?: Relation<VmContext>;

  @Column({ name: 'repository_id', type: 'varchar', length: 64, ...BINARY_COLLATION })
  repositoryId!: string;

  @Column({ type: 'varchar', length: 16 })
  type!: string;

  @Column({ type: 'varchar', length: 32 })
  status!: RestorePointStatus;

  @Column({ type: 'varchar', length: 32, default: 'crash' })
  consistency!: string;

  /** Disks of the VM that the request left out: such a point never becomes plain `completed`. */
  @Column({ name: 'missing_disks', type: 'int', default: 0 })
  missingDisks!: number;

  @Column({ type: 'json', nullable: true })
  notes!: PointNote[] | null;

  @Column({ name: 'created_at', ...TIME })
  createdAt!: Date;

  @Column({ name: 'completed_at', ...TIME, nullable: true })
  completedAt!: Date | null;
}
