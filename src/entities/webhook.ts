import { Column, Entity, Index, PrimaryColumn } from './orm.js';
import { BINARY_COLLATION, TIME } from './columns.js';

/** An address of the upstream's that is told what has happened. */
@Entity('webhooks')
@Index('uq_webhooks_name', ['name'], { unique: true })
export class Webhook {
  @PrimaryColumn({ type: 'varchar', length: 64, ...BINARY_COLLATION })
  id!: string;

  @Column({ type: 'varchar', length: 63, ...BINARY_COLLATION })
  name!: string;

  @Column({ type: 'varchar', length: 2000 })
  url!: string;

  /** Key of the signatures: needed to sign, so it is kept as it is and never shown again. */
  @Column({ type: 'varchar', length: 191, ...BINARY_COLLATION })
  secret!: string;

  /** Event types that it is told; NULL for all. */
  @Column({ type: 'json', nullable: true })
  events!: string[] | null;

  @Column({ type: 'boolean', default: true })
  enabled!: boolean;

  @Column({ name: 'created_at', ...TIME })
  createdAt!: Date;
}
