import { Column, Entity, Index, PrimaryColumn } from './orm.js';
import { BINARY_COLLATION, TIME } from './columns.js';

/** An Idempotency-Key that was used, and what was answered. Written in the transaction that writes the intent. */
@Entity('idempotency_keys')
@Index('ix_idempotency_keys_created', ['createdAt'])
export class IdempotencyKey {
  @PrimaryColumn({ name: 'token_id', type: 'varchar', length: 64, ...BINARY_COLLATION })
  tokenId!: string;

  @PrimaryColumn({ name: 'idempotency_key', type: 'varchar', length: 191, ...BINARY_COLLATION })
  idempotencyKey!: string;

  /** SHA-256 of method, path and body. */
  @Column({ name: 'request_sha256', type: 'char', length: 64 })
  requestSha256!: string;

  @Column({ type: 'json' })
  response!: Record<string, unknown>;

  @Column({ name: 'created_at', ...TIME })
  createdAt!: Date;
}
