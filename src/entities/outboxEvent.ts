import { Column, Entity, Index, JoinColumn, ManyToOne, PrimaryColumn, type Relation } from './orm.js';
import { BINARY_COLLATION, TIME } from './columns.js';
import { Webhook } from './webhook.js';

/** `dead`: given up after many attempts; it is sent again only when somebody asks for it. */
export type OutboxState = 'pending' | 'delivered' | 'dead';

/** One event for one webhook, written in the transaction in which it happened. */
@Entity('outbox_events')
@Index('ix_outbox_events_due', ['state', 'nextAttemptAt'])
@Index('ix_outbox_events_webhook', ['webhookId', 'createdAt', 'id'])
@Index('ix_outbox_events_state_created', ['state', 'createdAt'])
export class OutboxEvent {
  /** Names the delivery. */
  @PrimaryColumn({ type: 'varchar', length: 64, ...BINARY_COLLATION })
  id!: string;

  @Column({ name: 'webhook_id', type: 'varchar', length: 64, ...BINARY_COLLATION })
  webhookId!: string;

  @ManyToOne(() => Webhook, { onDelete: 'RESTRICT', onUpdate: 'RESTRICT' })
  @JoinColumn({ name: 'webhook_id', foreignKeyConstraintName: 'fk_outbox_events_webhook' })
  webhook?: Relation<Webhook>;

  /** Names the event: the same for all webhooks that are told of it. */
  @Column({ name: 'event_id', type: 'varchar', length: 64, ...BINARY_COLLATION })
  eventId!: string;

  @Column({ type: 'varchar', length: 64 })
  type!: string;

  /** Id of what it is about: a job, a restore point, a VM. */
  @Column({ name: 'subject_id', type: 'varchar', length: 191, ...BINARY_COLLATION })
  subjectId!: string;

  /** The request's body, written before the first attempt, so that every attempt carries the same bytes. */
  @Column({ type: 'mediumtext', nullable: true })
  body!: string | null;

  @Column({ type: 'varchar', length: 16 })
  state!: OutboxState;

  @Column({ type: 'int', default: 0 })
  attempts!: number;

  @Column({ name: 'next_attempt_at', ...TIME })
  nextAttemptAt!: Date;

  /** HTTP status of the last answer; NULL when there was none. */
  @Column({ name: 'last_status', type: 'int', nullable: true })
  lastStatus!: number | null;

  @Column({ name: 'last_error', type: 'varchar', length: 500, nullable: true })
  lastError!: string | null;

  @Column({ name: 'created_at', ...TIME })
  createdAt!: Date;

  @Column({ name: 'delivered_at', ...TIME, nullable: true })
  deliveredAt!: Date | null;
}
