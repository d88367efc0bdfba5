import { Column, Entity, Index, PrimaryColumn, JoinColumn, ManyToOne, type Relation } from './orm.js';
import type { RequestedType, VerifyBackup } from './backupJob.js';
import { BINARY_COLLATION, TIME } from './columns.js';
import { VmContext } from './vmContext.js';

/** What is kept, as the API takes it; `within` is such as `30d`. */
export interface KeepColumn {
  last?: number;
  hourly?: number;
  daily?: number;
  weekly?: number;
  monthly?: number;
  yearly?: number;
  within?: string;
}

/** When the VMs of a policy are backed up, how, and which of their restore points are kept. */
@Entity('policies')
@Index('uq_policies_name', ['name'], { unique: true })
@Index('ix_policies_due', ['enabled', 'nextRunAt'])
export class Policy {
  @PrimaryColumn({ type: 'varchar', length: 64, ...BINARY_COLLATION })
  id!: string;

  @Column({ type: 'varchar', length: 63, ...BINARY_COLLATION })
  name!: string;

  @Column({ type: 'boolean', default: true })
  enabled!: boolean;

  /** Five fields of cron; NULL: only on request. */
  @Column({ type: 'varchar', length: 191, nullable: true })
  schedule!: string | null;

  /** IANA name, of the schedule and of the days that are kept. */
  @Column({ name: 'time_zone', type: 'varchar', length: 64 })
  timeZone!: string;

  /** The VMs of a run begin spread over so many seconds. */
  @Column({ name: 'jitter_seconds', type: 'int', default: 0 })
  jitterSeconds!: number;

  @Column({ name: 'backup_type', type: 'varchar', length: 16 })
  backupType!: RequestedType;

  @Column({ name: 'full_every', type: 'int', nullable: true })
  fullEvery!: number | null;

  @Column({ name: 'full_after_days', type: 'int', nullable: true })
  fullAfterDays!: number | null;

  /** The validation that each of its backups asks for. */
  @Column({ type: 'varchar', length: 16, nullable: true })
  verify!: VerifyBackup | null;

  /** NULL: nothing is removed. */
  @Column({ type: 'json', nullable: true })
  keep!: KeepColumn | null;

  /** When it is due, by the schedule; NULL without one. The truth: BullMQ's scheduler only wakes somebody. */
  @Column({ name: 'next_run_at', ...TIME, nullable: true })
  nextRunAt!: Date | null;

  @Column({ name: 'created_at', ...TIME })
  createdAt!: Date;
}

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
