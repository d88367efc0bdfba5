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
