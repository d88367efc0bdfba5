import { Column, Entity, Index, PrimaryColumn } from './orm.js';
import { BINARY_COLLATION, TIME } from './columns.js';

export type Role = 'admin' | 'operator' | 'viewer';

/** A bearer token; only its SHA-256 is kept. */
@Entity('api_tokens')
@Index('uq_api_tokens_name', ['name'], { unique: true })
@Index('uq_api_tokens_sha256', ['sha256'], { unique: true })
export class ApiToken {
  @PrimaryColumn({ type: 'varchar', length: 64, ...BINARY_COLLATION })
  id!: string;

  @Column({ type: 'varchar', length: 63, ...BINARY_COLLATION })
  name!: string;

  @Column({ type: 'varchar', length: 16 })
  role!: Role;

  /** Lower-case hexadecimal. */
  @Column({ type: 'char', length: 64 })
  sha256!: string;

  @Column({ name: 'created_at', ...TIME })
  createdAt!: Date;

  @Column({ name: 'last_used_at', ...TIME, nullable: true })
  lastUsedAt!: Date | null;

  @Column({ name: 'expires_at', ...TIME, nullable: true })
  expiresAt!: Date | null;
}

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
