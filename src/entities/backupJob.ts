import { Column, Entity, Index, JoinColumn, ManyToOne, type Relation, PrimaryColumn } from './orm.js';
import type { BackupChain } from './backupChain.js';
import { ChainJob } from './chainJob.js';
import { BIGINT, BINARY_COLLATION, TIME } from './columns.js';
import type { Health } from './health.js';
import { Repository } from './repository.js';
import { RestorePoint } from './restorePoint.js';
import type { DiskSource } from '../shared/sources.js';

export type BackupType = 'full' | 'incremental' | 'differential';
export type RequestedType = BackupType | 'auto';
export type OnBrokenChain = 'full' | 'fail';

/** A validation of the chain when the backup has completed: `after` is a quick one, `after_deep` also reads what was never read. */
export type VerifyBackup = 'after' | 'after_deep';

/** Who tells what has changed: a change list that came with the request or after it, or a dirty bitmap of the source. */
export type Tracker = 'extents' | 'bitmap';

/** What the request said about the disk; the worker decides with it and the catalogue. */
export interface BackupRequest {
  source: DiskSource;
  on_broken_chain: OnBrokenChain;
  /** True when a change list belongs to it, in backup_extents. */
  has_extents: boolean;
  /** `auto` takes every so-many-th backup as a full. */
  full_every?: number;
  /** `auto` takes a full when the last one is this old, in days. */
  full_after_days?: number;
  verify?: VerifyBackup;
}

/** One disk, one backup: first the intent, then the QCOW2 file. */
@Entity('backup_jobs')
@Index('uq_backup_jobs_seq', ['chainId', 'seq'], { unique: true })
@Index('uq_backup_jobs_path', ['chainId', 'repositoryPath'], { unique: true })
@Index('uq_backup_jobs_successor_of', ['successorOf'], { unique: true })
@Index('ix_backup_jobs_status', ['status', 'createdAt'])
@Index('ix_backup_jobs_slots', ['repositoryId', 'status', 'parkedAt'])
@Index('ix_backup_jobs_chain_status', ['chainId', 'status', 'seq'])
@Index('ix_backup_jobs_vm', ['vmContextId', 'diskId', 'createdAt'])
@Index('ix_backup_jobs_type', ['backupType', 'createdAt'])
@Index('ix_backup_jobs_disk', ['diskId', 'createdAt'])
@Index('ix_backup_jobs_created', ['createdAt', 'id'])
@Index('ix_backup_jobs_files_left', ['fileRemovedAt', 'expiredAt'])
@Index('ix_backup_jobs_awaits', ['awaitsExtentsUntil'])
export class BackupJob extends ChainJob {
  @ManyToOne('BackupChain', { onDelete: 'RESTRICT', onUpdate: 'RESTRICT' })
  @JoinColumn({ name: 'chain_id', foreignKeyConstraintName: 'fk_backup_jobs_chain' })
  chain?: Relation<BackupChain>;

  @Column({ name: 'restore_point_id', type: 'varchar', length: 64, ...BINARY_COLLATION })
  restorePointId!: string;

  @ManyToOne(() => RestorePoint, { onDelete: 'RESTRICT', onUpdate: 'RESTRICT' })
  @JoinColumn({ name: 'restore_point_id', foreignKeyConstraintName: 'fk_backup_jobs_restore_point' })
  restorePoint?: Relation<RestorePoint>;

  @Column({ name: 'vm_context_id', type: 'varchar', length: 191, ...BINARY_COLLATION })
  vmContextId!: string;

  @Column({ name: 'disk_id', type: 'int' })
  diskId!: number;

  @Column({ name: 'repository_id', type: 'varchar', length: 64, ...BINARY_COLLATION })
  repositoryId!: string;

  @ManyToOne(() => Repository, { onDelete: 'RESTRICT', onUpdate: 'RESTRICT' })
  @JoinColumn({ name: 'repository_id', foreignKeyConstraintName: 'fk_backup_jobs_repository' })
  repository?: Relation<Repository>;

  @Column({ name: 'requested_type', type: 'varchar', length: 16 })
  requestedType!: RequestedType;

  /** What it became; NULL until the worker has decided. */
  @Column({ name: 'backup_type', type: 'varchar', length: 16, nullable: true })
  backupType!: BackupType | null;

  /** Why an incremental became a full, or a change list was not used. */
  @Column({ name: 'demoted_reason', type: 'varchar', length: 191, nullable: true })
  demotedReason!: string | null;

  @Column({ name: 'parent_backup_id', type: 'varchar', length: 64, nullable: true, ...BINARY_COLLATION })
  parentBackupId!: string | null;

  @ManyToOne('BackupJob', { onDelete: 'RESTRICT', onUpdate: 'RESTRICT' })
  @JoinColumn({ name: 'parent_backup_id', foreignKeyConstraintName: 'fk_backup_jobs_parent' })
  parentBackup?: Relation<BackupJob>;

  /** The parent, once this incremental is completed: unique, so that the database keeps the chain linear. */
  @Column({ name: 'successor_of', type: 'varchar', length: 64, nullable: true, ...BINARY_COLLATION })
  successorOf!: string | null;

  @Column({ name: 'change_id', type: 'varchar', length: 191, nullable: true, ...BINARY_COLLATION })
  changeId!: string | null;

  @Column({ name: 'since_change_id', type: 'varchar', length: 191, nullable: true, ...BINARY_COLLATION })
  sinceChangeId!: string | null;

  @Column({ type: 'json' })
  request!: BackupRequest;

  /** Set while the change list is still to come: the job is `queued`, and its chain waits with it, until then. */
  @Column({ name: 'awaits_extents_until', ...TIME, nullable: true })
  awaitsExtentsUntil!: Date | null;

  /** The upload whose parts are the change list; empty for one that came with the request, NULL without a list. */
  @Column({ name: 'extents_upload', type: 'varchar', length: 32, nullable: true, ...BINARY_COLLATION })
  extentsUpload!: string | null;

  /** SHA-256 of the uploaded list as it is stored: the same list sent again is told from another. */
  @Column({ name: 'extents_sha256', type: 'char', length: 64, nullable: true })
  extentsSha256!: string | null;

  /** Who told what this layer holds; NULL where the whole disk was read: a full, or a comparison. */
  @Column({ type: 'varchar', length: 16, nullable: true })
  tracker!: Tracker | null;

  /** Set when a later audit caught the tracker lying on which this backup relies: it may lack changes. */
  @Column({ name: 'doubted_at', ...TIME, nullable: true })
  doubtedAt!: Date | null;

  /** Relative to the repository's root. */
  @Column({ name: 'repository_path', type: 'varchar', length: 500, nullable: true, ...BINARY_COLLATION })
  repositoryPath!: string | null;

  @Column({ name: 'virtual_size', ...BIGINT, nullable: true })
  virtualSize!: number | null;

  /** `size_changes` of its disk when its bytes began to be read; NULL where that is not known. */
  @Column({ name: 'size_changes', type: 'int', nullable: true })
  sizeChanges!: number | null;

  /** Bytes that the file takes on the file system. */
  @Column({ name: 'size_bytes', ...BIGINT, nullable: true })
  sizeBytes!: number | null;

  @Column({ name: 'bytes_transferred', ...BIGINT, nullable: true })
  bytesTransferred!: number | null;

  /** BLAKE3 over the effective digests (docs/on-disk-format.md). */
  @Column({ name: 'content_id', type: 'varchar', length: 64, nullable: true })
  contentId!: string | null;

  @Column({ type: 'varchar', length: 16, default: 'ok' })
  health!: Health;

  /**
   * The health comes of ranges that were read wrong: those that stand on this backup have been judged by themselves, as
   * they may have written over them. False: it reaches all of them.
   */
  @Column({ name: 'damage_located', type: 'boolean', default: false })
  damageLocated!: boolean;

  /**
   * Set when a restore, or a deep validation without an index, has proved that the content is not what was written; cleared
   * when one proves that it is, or says where it is not.
   */
  @Column({ name: 'content_wrong_at', ...TIME, nullable: true })
  contentWrongAt!: Date | null;

  /** When it ceased to be a restore point. Its file may still carry those above it. */
  @Column({ name: 'expired_at', ...TIME, nullable: true })
  expiredAt!: Date | null;

  /** When the files of an expired backup were removed; `repository_path` stays, so that the name is never given again. */
  @Column({ name: 'file_removed_at', ...TIME, nullable: true })
  fileRemovedAt!: Date | null;

  @Column({ name: 'protected_until', ...TIME, nullable: true })
  protectedUntil!: Date | null;

  @Column({ type: 'json', nullable: true })
  tags!: Record<string, string> | null;
}

/**
 * A part of a change list: pairs of unsigned 64-bit little-endian numbers, offset and length in bytes. The pairs of all
 * parts are in increasing order, without overlaps, and widened to blocks.
 */
@Entity('backup_extents')
export class BackupExtents {
  @PrimaryColumn({ name: 'backup_id', type: 'varchar', length: 64, ...BINARY_COLLATION })
  backupId!: string;

  /** Which upload it is a part of: only that of `extents_upload` of the job counts. Empty: it came with the request. */
  @PrimaryColumn({ type: 'varchar', length: 32, default: '', ...BINARY_COLLATION })
  upload!: string;

  @PrimaryColumn({ type: 'int' })
  part!: number;

  @ManyToOne(() => BackupJob, { onDelete: 'CASCADE', onUpdate: 'RESTRICT' })
  @JoinColumn({ name: 'backup_id', foreignKeyConstraintName: 'fk_backup_extents_backup' })
  backup?: Relation<BackupJob>;

  @Column({ type: 'mediumblob' })
  pairs!: Buffer;
}

/** A backup's protection was changed, and the record in its repository is still to be changed with it. */
@Entity('hold_changes')
export class HoldChange {
  @PrimaryColumn({ name: 'backup_id', type: 'varchar', length: 64, ...BINARY_COLLATION })
  backupId!: string;

  @ManyToOne(() => BackupJob, { onDelete: 'CASCADE', onUpdate: 'RESTRICT' })
  @JoinColumn({ name: 'backup_id', foreignKeyConstraintName: 'fk_hold_changes_backup' })
  backup?: Relation<BackupJob>;

  /** Another one for each change, so that a record of an older one settles nothing. */
  @Column({ name: 'change_id', type: 'varchar', length: 36, ...BINARY_COLLATION })
  changeId!: string;
}
