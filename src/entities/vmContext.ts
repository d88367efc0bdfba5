import { Column, Entity, Index, JoinColumn, ManyToOne, PrimaryColumn, type Relation } from './orm.js';
import { BINARY_COLLATION, TIME } from './columns.js';
import { Repository } from './repository.js';

/** One VM as seen by one repository. Two VMs of one name from two upstreams differ in `upstreamId`. */
@Entity('vm_contexts')
@Index('ix_vm_contexts_vm_name', ['vmName'])
@Index('ix_vm_contexts_upstream', ['repositoryId', 'upstreamId'])
@Index('uq_vm_contexts_name', ['repositoryId', 'vmName', 'upstreamId'], { unique: true })
export class VmContext {
  @PrimaryColumn({ name: 'vm_context_id', type: 'varchar', length: 191, ...BINARY_COLLATION })
  vmContextId!: string;

  @Column({ name: 'vm_name', type: 'varchar', length: 255, ...BINARY_COLLATION })
  vmName!: string;

  /** The upstream's own id of the VM; empty when it gives none. */
  @Column({ name: 'upstream_id', type: 'varchar', length: 191, default: '', ...BINARY_COLLATION })
  upstreamId!: string;

  /** Its name before the last time that it came with another one under its upstream's id. */
  @Column({ name: 'previous_name', type: 'varchar', length: 255, nullable: true, ...BINARY_COLLATION })
  previousName!: string | null;

  @Column({ name: 'renamed_at', ...TIME, nullable: true })
  renamedAt!: Date | null;

  @Column({ name: 'repository_id', type: 'varchar', length: 64, ...BINARY_COLLATION })
  repositoryId!: string;

  @ManyToOne(() => Repository, { onDelete: 'RESTRICT', onUpdate: 'RESTRICT' })
  @JoinColumn({ name: 'repository_id', foreignKeyConstraintName: 'fk_vm_contexts_repository' })
  repository?: Relation<Repository>;

  @Column({ name: 'created_at', ...TIME })
  createdAt!: Date;
}
