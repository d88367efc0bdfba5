import { Column, Entity, PrimaryColumn } from './orm.js';
import { BIGINT, BINARY_COLLATION, TIME } from './columns.js';
import type { JobKind } from '../shared/jobs.js';

export type ClaimMode = 'read' | 'write';

/**
 * That a running job reads or writes storage outside of the repositories. It belongs to a job under a fence: it counts for
 * nothing when that lease is not held any more, whatever became of the worker.
 */
@Entity('resource_claims')
export class ResourceClaim {
  /** The kernel that the name is valid on: containers of one host share it. */
  @PrimaryColumn({ type: 'varchar', length: 64, ...BINARY_COLLATION })
  kernel!: string;

  /** Device number, or device and inode: see storageIds. */
  @PrimaryColumn({ type: 'varchar', length: 128, ...BINARY_COLLATION })
  storage!: string;

  @PrimaryColumn({ name: 'job_id', type: 'varchar', length: 64, ...BINARY_COLLATION })
  jobId!: string;

  @Column({ type: 'varchar', length: 16, ...BINARY_COLLATION })
  kind!: JobKind;

  @Column({ type: 'varchar', length: 8, ...BINARY_COLLATION })
  mode!: ClaimMode;

  @Column({ name: 'chain_id', type: 'varchar', length: 64, ...BINARY_COLLATION })
  chainId!: string;

  @Column({ ...BIGINT })
  fence!: number;

  @Column({ name: 'claimed_at', ...TIME })
  claimedAt!: Date;
}
