import { Column, Entity, JoinColumn, ManyToOne, PrimaryColumn, type Relation } from './orm.js';
import { BIGINT, BINARY_COLLATION, TIME } from './columns.js';
import type { DiskSource } from '../shared/sources.js';
import { VmContext } from './vmContext.js';

/** A disk of a VM. `diskId` is its name for good, never a position in a list. */
@Entity('vm_disks')
export class VmDisk {
  @PrimaryColumn({ name: 'vm_context_id', type: 'varchar', length: 191, ...BINARY_COLLATION })
  vmContextId!: string;

  @PrimaryColumn({ name: 'disk_id', type: 'int' })
  diskId!: number;

  @ManyToOne(() => VmContext, { onDelete: 'RESTRICT', onUpdate: 'RESTRICT' })
  @JoinColumn({ name: 'vm_context_id', foreignKeyConstraintName: 'fk_vm_disks_vm_context' })
  vmContext?: Relation<VmContext>;

  @Column({ type: 'varchar', length: 191, nullable: true })
  label!: string | null;

  /** Bytes, as last seen: by a backup or an attempt at one, or stated by the registration. */
  @Column({ name: 'virtual_size', ...BIGINT, nullable: true })
  virtualSize!: number | null;

  /** How often it was seen with another size than the time before. */
  @Column({ name: 'size_changes', type: 'int', default: 0 })
  sizeChanges!: number;

  @Column({ type: 'json', nullable: true })
  source!: DiskSource | null;

  /** Set when the VM is registered again without this disk: its chain stays restorable. */
  @Column({ name: 'retired_at', ...TIME, nullable: true })
  retiredAt!: Date | null;
}
