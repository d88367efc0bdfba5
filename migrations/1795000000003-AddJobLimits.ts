import type { MigrationInterface, QueryRunner } from 'typeorm';

const JOB_TABLES = ['backup_jobs', 'maintenance_jobs', 'restore_jobs'];

/** A repository and a job may have a bandwidth limit (bytes per second), a job a deadline of its own (seconds). */
export class AddJobLimits1795000000003 implements MigrationInterface {
  readonly name = 'AddJobLimits1795000000003';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('ALTER TABLE repositories ADD COLUMN max_bytes_per_second bigint NULL');
    for (const table of JOB_TABLES) {
      await queryRunner.query(
        `ALTER TABLE ${table} ADD COLUMN max_bytes_per_second bigint NULL, ADD COLUMN deadline_seconds int NULL`,
      );
    }
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    for (const table of JOB_TABLES) {
      await queryRunner.query(
        `ALTER TABLE ${table} DROP COLUMN max_bytes_per_second, DROP COLUMN deadline_seconds`,
      );
    }
    await queryRunner.query('ALTER TABLE repositories DROP COLUMN max_bytes_per_second');
  }
}
