import { Column, Entity, PrimaryColumn } from './orm.js';
import { BIGINT, BINARY_COLLATION, TIME } from './columns.js';

/** The journal of multi-step work: what a recovery needs to know of the attempt before. */
@Entity('job_steps')
export class JobStep {
  @PrimaryColumn({ name: 'job_id', type: 'varchar', length: 64, ...BINARY_COLLATION })
  jobId!: string;

  @PrimaryColumn({ type: 'varchar', length: 32 })
  step!: string;

  @PrimaryColumn({ ...BIGINT })
  fence!: number;

  @Column({ type: 'varchar', length: 16 })
  state!: 'begun' | 'done';

  @Column({ type: 'json', nullable: true })
  data!: Record<string, unknown> | null;

  @Column({ name: 'started_at', ...TIME })
  startedAt!: Date;

  @Column({ name: 'finished_at', ...TIME, nullable: true })
  finishedAt!: Date | null;
}
