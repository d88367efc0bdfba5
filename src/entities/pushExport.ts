import {
  Column,
  Entity,
  JoinColumn,
  OneToOne,
  PrimaryColumn,
  type Relation,
  Index,
  ManyToOne,
} from './orm.js';
import { BackupJob, type BackupType } from './backupJob.js';
import { BIGINT, BINARY_COLLATION, TIME } from './columns.js';

/** `waiting`: no export now. `open`: an agent may write. `accepted`: the agent is done, and all that it wrote is safe. */
export type PushState = 'waiting' | 'open' | 'accepted';

/** An export as agents are told of it. Whoever knows its name may write. */
export interface PushOffer {
  uri: string;
  export_name: string;
  /** Null for an export on a unix socket. */
  host: string | null;
  port: number | null;
  socket: string | null;
  tls: 'none' | 'psk' | 'x509';
  connections: number;
  backup_type: BackupType;
  demoted_reason: string | null;
  parent_backup_id: string | null;
  since_change_id: string | null;
  virtual_size: number;
}

/** What an agent and the worker of a pushed backup tell each other; there from the acceptance of the backup on. */
@Entity('push_exports')
export class PushExport {
  @PrimaryColumn({ name: 'backup_id', type: 'varchar', length: 64, ...BINARY_COLLATION })
  backupId!: string;

  @OneToOne(() => BackupJob, { onDelete: 'CASCADE', onUpdate: 'RESTRICT' })
  @JoinColumn({ name: 'backup_id', foreignKeyConstraintName: 'fk_push_exports_backup' })
  backup?: Relation<BackupJob>;

  @Column({ type: 'varchar', length: 16 })
  state!: PushState;

  /** How many exports were opened for the backup. Each begins with an empty image and a name of its own. */
  @Column({ type: 'int', default: 0 })
  attempt!: number;

  /** Of the lease under which the export was opened: it is live as long as that is held. */
  @Column({ ...BIGINT, nullable: true })
  fence!: number | null;

  @Column({ type: 'json', nullable: true })
  offer!: PushOffer | null;

  @Column({ name: 'opened_at', ...TIME, nullable: true })
  openedAt!: Date | null;

  /** Grows with every report of progress: the worker sees that the agent lives. */
  @Column({ type: 'int', default: 0 })
  telemetry!: number;

  /** As the agent counts. */
  @Column({ name: 'bytes_done', ...BIGINT, nullable: true })
  bytesDone!: number | null;

  @Column({ name: 'bytes_total', ...BIGINT, nullable: true })
  bytesTotal!: number | null;

  /** Number of the newest completion call that the worker has to decide on, and of the last one that it has decided. */
  @Column({ type: 'int', default: 0 })
  asked!: number;

  @Column({ type: 'int', default: 0 })
  answered!: number;

  /** The code with which the last one was refused; NULL when it was accepted. */
  @Column({ type: 'varchar', length: 64, nullable: true })
  verdict!: string | null;

  /** Of the newest completion call: decided on, or accepted. */
  @Column({ name: 'change_id', type: 'varchar', length: 191, nullable: true, ...BINARY_COLLATION })
  changeId!: string | null;

  @Column({ name: 'bytes_transferred', ...BIGINT, nullable: true })
  bytesTransferred!: number | null;

  /** Set when the agent has said that it failed: the job fails as soon as a worker sees it. */
  @Column({ name: 'failed_reason', type: 'text', nullable: true })
  failedReason!: string | null;
}

/**
 * A port of a host that a push export listens on. It belongs to a job under a fence: it is free when that lease is not
 * held any more, whatever became of the worker, and nobody else's release can free it.
 */
@Entity('push_ports')
@Index('ix_push_ports_backup', ['backupId'])
export class PushPort {
  @PrimaryColumn({ type: 'varchar', length: 191, ...BINARY_COLLATION })
  host!: string;

  @PrimaryColumn({ type: 'int' })
  port!: number;

  @Column({ name: 'backup_id', type: 'varchar', length: 64, ...BINARY_COLLATION })
  backupId!: string;

  @ManyToOne(() => BackupJob, { onDelete: 'CASCADE', onUpdate: 'RESTRICT' })
  @JoinColumn({ name: 'backup_id', foreignKeyConstraintName: 'fk_push_ports_backup' })
  backup?: Relation<BackupJob>;

  @Column({ ...BIGINT })
  fence!: number;

  @Column({ name: 'taken_at', ...TIME })
  takenAt!: Date;
}
