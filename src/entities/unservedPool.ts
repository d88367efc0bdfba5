import { Column, Entity, PrimaryColumn } from './orm.js';
import { BINARY_COLLATION, TIME } from './columns.js';

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
