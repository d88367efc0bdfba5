import { Column, Entity, Index, PrimaryColumn } from './orm.js';
import { BINARY_COLLATION, TIME } from './columns.js';

/** A process of the fleet that has sent a heartbeat: who serves which pool, and where its metrics are. */
@Entity('fleet_processes')
@Index('ix_fleet_processes_heartbeat', ['heartbeatAt'])
export class FleetProcess {
  @PrimaryColumn({ type: 'varchar', length: 64, ...BINARY_COLLATION })
  id!: string;

  @Column({ type: 'varchar', length: 32 })
  role!: string;

  @Column({ type: 'varchar', length: 191 })
  host!: string;

  @Column({ type: 'int' })
  pid!: number;

  @Column({ type: 'json' })
  pools!: string[];

  /** host:port of its Prometheus endpoint. */
  @Column({ name: 'metrics_address', type: 'varchar', length: 191, nullable: true })
  metricsAddress!: string | null;

  @Column({ name: 'started_at', ...TIME })
  startedAt!: Date;

  @Column({ name: 'heartbeat_at', ...TIME })
  heartbeatAt!: Date;
}

/** Which process leads a role that one at a time may play (the keeper). */
@Entity('leader_leases')
export class LeaderLease {
  @PrimaryColumn({ type: 'varchar', length: 32 })
  name!: string;

  @Column({ type: 'varchar', length: 191 })
  owner!: string;

  /** By the database's clock. */
  @Column({ name: 'lease_until', ...TIME })
  leaseUntil!: Date;
}

/** A pool that a repository names and no live worker serves. */
@Entity('unserved_pools')
export class UnservedPool {
  @PrimaryColumn({ type: 'varchar', length: 63, ...BINARY_COLLATION })
  pool!: string;

  /** When a keeper saw it first. */
  @Column({ ...TIME })
  since!: Date;

  /** When the webhooks were told; null while it may be a restart. */
  @Column({ name: 'told_at', ...TIME, nullable: true })
  toldAt!: Date | null;
}
