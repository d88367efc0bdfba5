import { Column, Entity, Index, PrimaryColumn } from './orm.js';
import { BIGINT, BINARY_COLLATION, TIME } from './columns.js';

export type RepositoryType = 'local' | 'nfs';

/** A directory tree on a mounted file system that holds backups. */
@Entity('repositories')
@Index('uq_repositories_name', ['name'], { unique: true })
@Index('uq_repositories_root_path', ['rootPath'], { unique: true })
export class Repository {
  @PrimaryColumn({ type: 'varchar', length: 64, ...BINARY_COLLATION })
  id!: string;

  @Column({ type: 'varchar', length: 63, ...BINARY_COLLATION })
  name!: string;

  @Column({ type: 'varchar', length: 16 })
  type!: RepositoryType;

  @Column({ name: 'root_path', type: 'varchar', length: 700, ...BINARY_COLLATION })
  rootPath!: string;

  /** Workers of this pool mount the file system. */
  @Column({ type: 'varchar', length: 63, ...BINARY_COLLATION })
  pool!: string;

  @Column({ type: 'boolean', default: true })
  enabled!: boolean;

  @Column({ name: 'min_free_bytes', ...BIGINT, default: 0 })
  minFreeBytes!: number;

  @Column({ name: 'max_parallel_jobs', type: 'int', nullable: true })
  maxParallelJobs!: number | null;

  /** Bytes per second that all jobs of the repository together may move; NULL: no limit. */
  @Column({ name: 'max_bytes_per_second', ...BIGINT, nullable: true })
  maxBytesPerSecond!: number | null;

  @Column({ name: 'immutable_days', type: 'int', default: 0 })
  immutableDays!: number;

  /** Layers after which a chain gets a synthetic full; NULL for the fleet's default. */
  @Column({ name: 'max_chain_length', type: 'int', nullable: true })
  maxChainLength!: number | null;

  /** Every chain is validated quickly once in so many hours; 0: never. */
  @Column({ name: 'validate_quick_hours', type: 'int', default: 24 })
  validateQuickHours!: number;

  /** Every chain is read as a whole and compared once in so many days; 0: never. */
  @Column({ name: 'validate_deep_days', type: 'int', default: 30 })
  validateDeepDays!: number;

  /** What that may read in an hour; NULL: no limit. */
  @Column({ name: 'validate_bytes_per_hour', ...BIGINT, nullable: true })
  validateBytesPerHour!: number | null;

  /** No validation of the cadence begins before: what was begun has not been paid for with time. */
  @Column({ name: 'quick_next_at', ...TIME, nullable: true })
  quickNextAt!: Date | null;

  @Column({ name: 'deep_next_at', ...TIME, nullable: true })
  deepNextAt!: Date | null;

  @Column({ name: 'total_bytes', ...BIGINT, nullable: true })
  totalBytes!: number | null;

  @Column({ name: 'used_bytes', ...BIGINT, nullable: true })
  usedBytes!: number | null;

  @Column({ name: 'available_bytes', ...BIGINT, nullable: true })
  availableBytes!: number | null;

  @Column({ name: 'capacity_read_at', ...TIME, nullable: true })
  capacityReadAt!: Date | null;

  /** Since when less than `min_free_bytes` is left; NULL: there is room. */
  @Column({ name: 'low_space_since', ...TIME, nullable: true })
  lowSpaceSince!: Date | null;

  /** Files that the comparison of `compared_at` found and that the catalogue lacks: images that `qemu-img` restores, with their sidecars. */
  @Column({ name: 'uncatalogued_files', type: 'int', nullable: true })
  uncataloguedFiles!: number | null;

  @Column({ name: 'uncatalogued_bytes', ...BIGINT, nullable: true })
  uncataloguedBytes!: number | null;

  @Column({ name: 'compared_at', ...TIME, nullable: true })
  comparedAt!: Date | null;

  @Column({ name: 'created_at', ...TIME })
  createdAt!: Date;
}
