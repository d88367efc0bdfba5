import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Backups expire and lose their files, a chain remembers whose file is being switched, a repository bounds its chains. */
const UP = [
  `ALTER TABLE backup_jobs
    ADD COLUMN expired_at datetime(3) NULL,
    ADD COLUMN file_removed_at datetime(3) NULL,
    ADD CONSTRAINT ck_backup_jobs_removed CHECK (file_removed_at IS NULL OR status = 'expired')`,
  `ALTER TABLE backup_chains
    ADD COLUMN merging_backup_id varchar(64) NULL,
    ADD CONSTRAINT fk_backup_chains_merging FOREIGN KEY (merging_backup_id) REFERENCES backup_jobs(id) ON DELETE RESTRICT ON UPDATE RESTRICT`,
  `ALTER TABLE restore_points DROP CONSTRAINT ck_restore_points_status`,
  `ALTER TABLE restore_points ADD CONSTRAINT ck_restore_points_status CHECK (status IN ('pending', 'running', 'completed', 'completed_with_warnings', 'failed', 'cancelled', 'expired'))`,
  `ALTER TABLE repositories
    ADD COLUMN max_chain_length int NULL,
    ADD CONSTRAINT ck_repositories_chain CHECK (max_chain_length IS NULL OR max_chain_length BETWEEN 2 AND 200)`,
];

const DOWN = [
  'ALTER TABLE repositories DROP CONSTRAINT ck_repositories_chain',
  'ALTER TABLE repositories DROP COLUMN max_chain_length',
  `UPDATE restore_points SET status = 'cancelled' WHERE status = 'expired'`,
  'ALTER TABLE restore_points DROP CONSTRAINT ck_restore_points_status',
  `ALTER TABLE restore_points ADD CONSTRAINT ck_restore_points_status CHECK (status IN ('pending', 'running', 'completed', 'completed_with_warnings', 'failed', 'cancelled'))`,
  'ALTER TABLE backup_chains DROP FOREIGN KEY fk_backup_chains_merging',
  'ALTER TABLE backup_chains DROP COLUMN merging_backup_id',
  'ALTER TABLE backup_jobs DROP CONSTRAINT ck_backup_jobs_removed',
  'ALTER TABLE backup_jobs DROP COLUMN expired_at, DROP COLUMN file_removed_at',
];

export class AddConsolidation1795000000009 implements MigrationInterface {
  readonly name = 'AddConsolidation1795000000009';

  async up(queryRunner: QueryRunner): Promise<void> {
    for (const statement of UP) await queryRunner.query(statement);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    for (const statement of DOWN) await queryRunner.query(statement);
  }
}
