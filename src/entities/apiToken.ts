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
