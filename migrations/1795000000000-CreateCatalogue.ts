import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Repositories, VMs, disks, chains, backups and restore points. Constraints say what code may not break. */
const UP = [
  `CREATE TABLE repositories (
    id varchar(64) NOT NULL,
    name varchar(63) NOT NULL,
    type varchar(16) NOT NULL,
    root_path varchar(700) NOT NULL,
    pool varchar(63) NOT NULL,
    enabled tinyint NOT NULL DEFAULT 1,
    min_free_bytes bigint NOT NULL DEFAULT 0,
    max_parallel_jobs int NULL,
    immutable_days int NOT NULL DEFAULT 0,
    total_bytes bigint NULL,
    used_bytes bigint NULL,
    available_bytes bigint NULL,
    capacity_read_at datetime(3) NULL,
    created_at datetime(3) NOT NULL,
    UNIQUE INDEX uq_repositories_root_path (root_path),
    UNIQUE INDEX uq_repositories_name (name),
    PRIMARY KEY (id),
    CONSTRAINT ck_repositories_type CHECK (type IN ('local', 'nfs')),
    CONSTRAINT ck_repositories_limits CHECK (min_free_bytes >= 0 AND immutable_days >= 0 AND (max_parallel_jobs IS NULL OR max_parallel_jobs > 0))
  ) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin`,
  `CREATE TABLE vm_contexts (
    vm_context_id varchar(191) NOT NULL,
    vm_name varchar(128) NOT NULL,
    upstream_id varchar(191) NOT NULL DEFAULT '',
    repository_id varchar(64) NOT NULL,
    created_at datetime(3) NOT NULL,
    UNIQUE INDEX uq_vm_contexts_name (repository_id, vm_name, upstream_id),
    PRIMARY KEY (vm_context_id)
  ) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin`,
  `CREATE TABLE vm_disks (
    vm_context_id varchar(191) NOT NULL,
    disk_id int NOT NULL,
    label varchar(191) NULL,
    virtual_size bigint NULL,
    source json NULL,
    retired_at datetime(3) NULL,
    PRIMARY KEY (vm_context_id, disk_id),
    CONSTRAINT ck_vm_disks_disk_id CHECK (disk_id >= 0)
  ) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin`,
  `CREATE TABLE backup_chains (
    id varchar(64) NOT NULL,
    vm_context_id varchar(191) NOT NULL,
    disk_id int NOT NULL,
    full_backup_id varchar(64) NULL,
    latest_backup_id varchar(64) NULL,
    total_backups int NOT NULL DEFAULT 0,
    total_size_bytes bigint NOT NULL DEFAULT 0,
    last_seq bigint NOT NULL DEFAULT 0,
    fence bigint NOT NULL DEFAULT 0,
    committed bigint NOT NULL DEFAULT 0,
    lease_owner varchar(191) NULL,
    lease_job_id varchar(64) NULL,
    lease_until datetime(3) NULL,
    health varchar(16) NOT NULL DEFAULT 'ok',
    last_validated_at datetime(3) NULL,
    INDEX ix_backup_chains_lease_until (lease_until),
    UNIQUE INDEX uq_backup_chains_disk (vm_context_id, disk_id),
    PRIMARY KEY (id),
    CONSTRAINT ck_backup_chains_fence CHECK (committed <= fence),
    CONSTRAINT ck_backup_chains_head CHECK ((full_backup_id IS NULL) = (latest_backup_id IS NULL)),
    CONSTRAINT ck_backup_chains_health CHECK (health IN ('ok', 'suspect', 'damaged'))
  ) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin`,
  `CREATE TABLE restore_points (
    id varchar(64) NOT NULL,
    vm_context_id varchar(191) NOT NULL,
    repository_id varchar(64) NOT NULL,
    type varchar(16) NOT NULL,
    status varchar(32) NOT NULL,
    consistency varchar(32) NOT NULL DEFAULT 'crash',
    missing_disks int NOT NULL DEFAULT 0,
    created_at datetime(3) NOT NULL,
    completed_at datetime(3) NULL,
    INDEX ix_restore_points_vm (vm_context_id, created_at),
    PRIMARY KEY (id),
    CONSTRAINT ck_restore_points_status CHECK (status IN ('pending', 'running', 'completed', 'completed_with_warnings', 'failed', 'cancelled'))
  ) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin`,
  `CREATE TABLE backup_jobs (
    id varchar(64) NOT NULL,
    chain_id varchar(64) NOT NULL,
    seq bigint NOT NULL,
    status varchar(16) NOT NULL,
    fence bigint NULL,
    attempts int NOT NULL DEFAULT 0,
    delivery int NOT NULL DEFAULT 1,
    not_before datetime(3) NULL,
    priority int NOT NULL DEFAULT 0,
    cancel_requested tinyint NOT NULL DEFAULT 0,
    progress json NULL,
    error_code varchar(64) NULL,
    error_detail text NULL,
    created_at datetime(3) NOT NULL,
    started_at datetime(3) NULL,
    completed_at datetime(3) NULL,
    restore_point_id varchar(64) NOT NULL,
    vm_context_id varchar(191) NOT NULL,
    disk_id int NOT NULL,
    repository_id varchar(64) NOT NULL,
    requested_type varchar(16) NOT NULL,
    backup_type varchar(16) NULL,
    demoted_reason varchar(191) NULL,
    parent_backup_id varchar(64) NULL,
    successor_of varchar(64) NULL,
    change_id varchar(191) NULL,
    since_change_id varchar(191) NULL,
    request json NOT NULL,
    repository_path varchar(500) NULL,
    virtual_size bigint NULL,
    size_bytes bigint NULL,
    bytes_transferred bigint NULL,
    content_id varchar(64) NULL,
    health varchar(16) NOT NULL DEFAULT 'ok',
    protected_until datetime(3) NULL,
    tags json NULL,
    INDEX ix_backup_jobs_created (created_at, id),
    INDEX ix_backup_jobs_vm (vm_context_id, disk_id, created_at),
    INDEX ix_backup_jobs_chain_status (chain_id, status, seq),
    INDEX ix_backup_jobs_status (status, created_at),
    UNIQUE INDEX uq_backup_jobs_successor_of (successor_of),
    UNIQUE INDEX uq_backup_jobs_path (chain_id, repository_path),
    UNIQUE INDEX uq_backup_jobs_seq (chain_id, seq),
    PRIMARY KEY (id),
    CONSTRAINT ck_backup_jobs_status CHECK (status IN ('queued', 'released', 'running', 'completed', 'failed', 'cancelled', 'expired')),
    CONSTRAINT ck_backup_jobs_type CHECK (backup_type IS NULL OR backup_type IN ('full', 'incremental', 'differential')),
    CONSTRAINT ck_backup_jobs_requested CHECK (requested_type IN ('full', 'incremental', 'differential', 'auto')),
    CONSTRAINT ck_backup_jobs_health CHECK (health IN ('ok', 'suspect', 'damaged')),
    CONSTRAINT ck_backup_jobs_size CHECK (virtual_size IS NULL OR (virtual_size > 0 AND virtual_size % 512 = 0)),
    CONSTRAINT ck_backup_jobs_running CHECK (status <> 'running' OR fence IS NOT NULL),
    CONSTRAINT ck_backup_jobs_completed CHECK (status <> 'completed' OR (backup_type IS NOT NULL AND repository_path IS NOT NULL AND virtual_size IS NOT NULL AND size_bytes IS NOT NULL AND content_id IS NOT NULL AND completed_at IS NOT NULL)),
    CONSTRAINT ck_backup_jobs_parent CHECK (status <> 'completed' OR (backup_type = 'full') = (parent_backup_id IS NULL)),
    CONSTRAINT ck_backup_jobs_linear CHECK (status <> 'completed' OR backup_type <> 'incremental' OR (successor_of IS NOT NULL AND successor_of = parent_backup_id))
  ) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin`,
  `CREATE TABLE backup_extents (
    backup_id varchar(64) NOT NULL,
    part int NOT NULL,
    pairs mediumblob NOT NULL,
    PRIMARY KEY (backup_id, part)
  ) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin`,
  `ALTER TABLE vm_contexts
    ADD CONSTRAINT fk_vm_contexts_repository FOREIGN KEY (repository_id) REFERENCES repositories(id) ON DELETE RESTRICT ON UPDATE RESTRICT`,
  `ALTER TABLE vm_disks
    ADD CONSTRAINT fk_vm_disks_vm_context FOREIGN KEY (vm_context_id) REFERENCES vm_contexts(vm_context_id) ON DELETE RESTRICT ON UPDATE RESTRICT`,
  `ALTER TABLE backup_chains
    ADD CONSTRAINT fk_backup_chains_disk FOREIGN KEY (vm_context_id, disk_id) REFERENCES vm_disks(vm_context_id,disk_id) ON DELETE RESTRICT ON UPDATE RESTRICT`,
  `ALTER TABLE backup_chains
    ADD CONSTRAINT fk_backup_chains_full FOREIGN KEY (full_backup_id) REFERENCES backup_jobs(id) ON DELETE RESTRICT ON UPDATE RESTRICT`,
  `ALTER TABLE backup_chains
    ADD CONSTRAINT fk_backup_chains_latest FOREIGN KEY (latest_backup_id) REFERENCES backup_jobs(id) ON DELETE RESTRICT ON UPDATE RESTRICT`,
  `ALTER TABLE restore_points
    ADD CONSTRAINT fk_restore_points_vm_context FOREIGN KEY (vm_context_id) REFERENCES vm_contexts(vm_context_id) ON DELETE RESTRICT ON UPDATE RESTRICT`,
  `ALTER TABLE backup_jobs
    ADD CONSTRAINT fk_backup_jobs_chain FOREIGN KEY (chain_id) REFERENCES backup_chains(id) ON DELETE RESTRICT ON UPDATE RESTRICT`,
  `ALTER TABLE backup_jobs
    ADD CONSTRAINT fk_backup_jobs_restore_point FOREIGN KEY (restore_point_id) REFERENCES restore_points(id) ON DELETE RESTRICT ON UPDATE RESTRICT`,
  `ALTER TABLE backup_jobs
    ADD CONSTRAINT fk_backup_jobs_repository FOREIGN KEY (repository_id) REFERENCES repositories(id) ON DELETE RESTRICT ON UPDATE RESTRICT`,
  `ALTER TABLE backup_jobs
    ADD CONSTRAINT fk_backup_jobs_parent FOREIGN KEY (parent_backup_id) REFERENCES backup_jobs(id) ON DELETE RESTRICT ON UPDATE RESTRICT`,
  `ALTER TABLE backup_extents
    ADD CONSTRAINT fk_backup_extents_backup FOREIGN KEY (backup_id) REFERENCES backup_jobs(id) ON DELETE CASCADE ON UPDATE RESTRICT`,
];

const DOWN = [
  'DROP TABLE backup_extents',
  'DROP TABLE backup_jobs',
  'DROP TABLE restore_points',
  'DROP TABLE backup_chains',
  'DROP TABLE vm_disks',
  'DROP TABLE vm_contexts',
  'DROP TABLE repositories',
];

export class CreateCatalogue1795000000000 implements MigrationInterface {
  readonly name = 'CreateCatalogue1795000000000';

  async up(queryRunner: QueryRunner): Promise<void> {
    for (const statement of UP) await queryRunner.query(statement);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('SET FOREIGN_KEY_CHECKS = 0');
    for (const statement of DOWN) await queryRunner.query(statement);
    await queryRunner.query('SET FOREIGN_KEY_CHECKS = 1');
  }
}
