import { Column, Entity, PrimaryColumn } from './orm.js';
import { TIME } from './columns.js';

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
