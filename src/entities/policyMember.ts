import { Column, Entity, Index, JoinColumn, ManyToOne, PrimaryColumn, type Relation } from './orm.js';
import { BINARY_COLLATION, TIME } from './columns.js';
import { Policy } from './policy.js';
import { VmContext } from './vmContext.js';

/** A VM of a policy. A VM has one policy at most: two would not agree on what is kept. */
@Entity('policy_members')
@Index('ix_policy_members_policy', ['policyId', 'vmContextId'])
@Index('ix_policy_members_retained', ['retainedAt'])
export class PolicyMember {
  @PrimaryColumn({ name: 'vm_context_id', type: 'varchar', length: 191, ...BINARY_COLLATION })
  vmContextId!: string;

  @ManyToOne(() => VmContext, { onDelete: 'RESTRICT', onUpdate: 'RESTRICT' })
  @JoinColumn({ name: 'vm_context_id', foreignKeyConstraintName: 'fk_policy_members_vm_context' })
  vmContext?: Relation<VmContext>;

  @Column({ name: 'policy_id', type: 'varchar', length: 64, ...BINARY_COLLATION })
  policyId!: string;

  @ManyToOne(() => Policy, { onDelete: 'RESTRICT', onUpdate: 'RESTRICT' })
  @JoinColumn({ name: 'policy_id', foreignKeyConstraintName: 'fk_policy_members_policy' })
  policy?: Relation<Policy>;

  /** When its restore points were last looked through; NULL: at the next opportunity. */
  @Column({ name: 'retained_at', ...TIME, nullable: true })
  retainedAt!: Date | null;
}
