import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Other jobs on chains, the step journal, tokens, idempotency keys, and who is alive in the fleet. */
const UP = [
  `CREATE TABLE maintenance_jobs (
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
    repository_id varchar(64) NOT NULL,
    type varchar(32) NOT NULL,
    params json NOT NULL,
    result json NULL,
    INDEX ix_maintenance_jobs_chain_status (chain_id, status, seq),
    INDEX ix_maintenance_jobs_status (status, created_at),
    UNIQUE INDEX uq_maintenance_jobs_seq (chain_id, seq),
    PRIMARY KEY (id),
    CONSTRAINT ck_maintenance_jobs_status CHECK (status IN ('queued', 'released', 'running', 'completed', 'failed', 'cancelled'))
  ) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin`,
  `CREATE TABLE restore_jobs (
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
    repository_id varchar(64) NOT NULL,
    backup_id varchar(64) NOT NULL,
    target json NOT NULL,
    format varchar(16) NOT NULL,
    verify tinyint NOT NULL DEFAULT 1,
    result json NULL,
    INDEX ix_restore_jobs_chain_status (chain_id, status, seq),
    INDEX ix_restore_jobs_status (status, created_at),
    UNIQUE INDEX uq_restore_jobs_seq (chain_id, seq),
    PRIMARY KEY (id),
    CONSTRAINT ck_restore_jobs_status CHECK (status IN ('queued', 'released', 'running', 'completed', 'failed', 'cancelled'))
  ) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin`,
  `CREATE TABLE job_steps (
    job_id varchar(64) NOT NULL,
    step varchar(32) NOT NULL,
    fence bigint NOT NULL,
    state varchar(16) NOT NULL,
    data json NULL,
    started_at datetime(3) NOT NULL,
    finished_at datetime(3) NULL,
    PRIMARY KEY (job_id, step, fence),
    CONSTRAINT ck_job_steps_state CHECK (state IN ('begun', 'done'))
  ) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin`,
  `CREATE TABLE api_tokens (
    id varchar(64) NOT NULL,
    name varchar(63) NOT NULL,
    role varchar(16) NOT NULL,
    sha256 char(64) NOT NULL,
    created_at datetime(3) NOT NULL,
    last_used_at datetime(3) NULL,
    expires_at datetime(3) NULL,
    UNIQUE INDEX uq_api_tokens_sha256 (sha256),
    UNIQUE INDEX uq_api_tokens_name (name),
    PRIMARY KEY (id),
    CONSTRAINT ck_api_tokens_role CHECK (role IN ('admin', 'operator', 'viewer'))
  ) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin`,
  `CREATE TABLE idempotency_keys (
    token_id varchar(64) NOT NULL,
    idempotency_key varchar(191) NOT NULL,
    request_sha256 char(64) NOT NULL,
    response json NOT NULL,
    created_at datetime(3) NOT NULL,
    INDEX ix_idempotency_keys_created (created_at),
    PRIMARY KEY (token_id, idempotency_key)
  ) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin`,
  `CREATE TABLE fleet_processes (
    id varchar(64) NOT NULL,
    role varchar(32) NOT NULL,
    host varchar(191) NOT NULL,
    pid int NOT NULL,
    pools json NOT NULL,
    metrics_address varchar(191) NULL,
    started_at datetime(3) NOT NULL,
    heartbeat_at datetime(3) NOT NULL,
    INDEX ix_fleet_processes_heartbeat (heartbeat_at),
    PRIMARY KEY (id)
  ) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin`,
  `CREATE TABLE leader_leases (
    name varchar(32) NOT NULL,
    owner varchar(191) NOT NULL,
    lease_until datetime(3) NOT NULL,
    PRIMARY KEY (name)
  ) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin`,
  `ALTER TABLE maintenance_jobs
    ADD CONSTRAINT fk_maintenance_jobs_chain FOREIGN KEY (chain_id) REFERENCES backup_chains(id) ON DELETE RESTRICT ON UPDATE RESTRICT`,
  `ALTER TABLE restore_jobs
    ADD CONSTRAINT fk_restore_jobs_chain FOREIGN KEY (chain_id) REFERENCES backup_chains(id) ON DELETE RESTRICT ON UPDATE RESTRICT`,
  `ALTER TABLE restore_jobs
    ADD CONSTRAINT fk_restore_jobs_backup FOREIGN KEY (backup_id) REFERENCES backup_jobs(id) ON DELETE RESTRICT ON UPDATE RESTRICT`,
];

const DOWN = [
  'DROP TABLE leader_leases',
  'DROP TABLE fleet_processes',
  'DROP TABLE idempotency_keys',
  'DROP TABLE api_tokens',
  'DROP TABLE job_steps',
  'DROP TABLE restore_jobs',
  'DROP TABLE maintenance_jobs',
];

export class CreateJobsAndFleet1795000000001 implements MigrationInterface {
  readonly name = 'CreateJobsAndFleet1795000000001';

  async up(queryRunner: QueryRunner): Promise<void> {
    for (const statement of UP) await queryRunner.query(statement);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('SET FOREIGN_KEY_CHECKS = 0');
    for (const statement of DOWN) await queryRunner.query(statement);
    await queryRunner.query('SET FOREIGN_KEY_CHECKS = 1');
  }
}
