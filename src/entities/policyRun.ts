import { Column, Entity, Index, JoinColumn, ManyToOne, PrimaryColumn, type Relation } from './orm.js';
import { BINARY_COLLATION, TIME } from './columns.js';
import { Policy } from './policy.js';

/** `empty`: it had no VM. `skipped`: the run before still went on. */
export type PolicyRunStatus =
  | 'running'
  | 'completed'
  | 'completed_with_warnings'
  | 'failed'
  | 'empty'
  | 'skipped';

export type PolicyRunTrigger = 'schedule' | 'catch_up' | 'request';

/** One time that a policy was due. */
@Entity('policy_runs')
@Index('ix_policy_runs_policy', ['policyId', 'startedAt', 'id'])
@Index('ix_policy_runs_status', ['status', 'policyId'])
export class PolicyRun {
  @PrimaryColumn({ type: 'varchar', length: 64, ...BINARY_COLLATION })
  id!: string;

  @Column({ name: 'policy_id', type: 'varchar', length: 64, ...BINARY_COLLATION })
  policyId!: string;

  @ManyToOne(() => Policy, { onDelete: 'RESTRICT', onUpdate: 'RESTRICT' })
  @JoinColumn({ name: 'policy_id', foreignKeyConstraintName: 'fk_policy_runs_policy' })
  policy?: Relation<Policy>;

  /** `started_by` because TRIGGER is a word of SQL. */
  @Column({ name: 'started_by', type: 'varchar', length: 16 })
  startedBy!: PolicyRunTrigger;

  @Column({ type: 'varchar', length: 32 })
  status!: PolicyRunStatus;

  /** What the schedule said; NULL for a run on request. */
  @Column({ name: 'scheduled_for', ...TIME, nullable: true })
  scheduledFor!: Date | null;

  @Column({ name: 'started_at', ...TIME })
  startedAt!: Date;

  @Column({ name: 'ended_at', ...TIME, nullable: true })
  endedAt!: Date | null;
}

/** One VM in a run. */
@Entity('policy_run_vms')
@Index('ix_policy_run_vms_due', ['restorePointId', 'errorCode', 'dueAt'])
export class PolicyRunVm {
  @PrimaryColumn({ name: 'run_id', type: 'varchar', length: 64, ...BINARY_COLLATION })
  runId!: string;

  @ManyToOne(() => PolicyRun, { onDelete: 'RESTRICT', onUpdate: 'RESTRICT' })
  @JoinColumn({ name: 'run_id', foreignKeyConstraintName: 'fk_policy_run_vms_run' })
  run?: Relation<PolicyRun>;

  @PrimaryColumn({ name: 'vm_context_id', type: 'varchar', length: 191, ...BINARY_COLLATION })
  vmContextId!: string;

  @Column({ name: 'due_at', ...TIME })
  dueAt!: Date;

  /** NULL until its backup was accepted. */
  @Column({ name: 'restore_point_id', type: 'varchar', length: 64, nullable: true, ...BINARY_COLLATION })
  restorePointId!: string | null;

  /** Why it was not accepted. */
  @Column({ name: 'error_code', type: 'varchar', length: 64, nullable: true })
  errorCode!: string | null;

  @Column({ name: 'error_detail', type: 'text', nullable: true })
  errorDetail!: string | null;
}
