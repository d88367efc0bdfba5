import type { MigrationInterface, QueryRunner } from 'typeorm';

const TABLES = ['backup_jobs', 'maintenance_jobs', 'restore_jobs'];

/** A job waits without a queue entry while its repository runs as many jobs as it may; dead workers are counted apart; lists by type and disk have an index. */
export class AddJobSlots1795000000002 implements MigrationInterface {
  readonly name = 'AddJobSlots1795000000002';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(
      `ALTER TABLE backup_jobs ADD COLUMN content_wrong_at datetime(3) NULL, ADD INDEX ix_backup_jobs_type (backup_type, created_at),
         ADD INDEX ix_backup_jobs_disk (disk_id, created_at)`,
    );
    for (const table of TABLES) {
      await queryRunner.query(
        `ALTER TABLE ${table} ADD COLUMN parked_at datetime(3) NULL, ADD COLUMN deaths int NOT NULL DEFAULT 0,
           ADD INDEX ix_${table}_slots (repository_id, status, parked_at)`,
      );
    }
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(
      'ALTER TABLE backup_jobs DROP COLUMN content_wrong_at, DROP INDEX ix_backup_jobs_type, DROP INDEX ix_backup_jobs_disk',
    );
    for (const table of TABLES) {
      // The foreign key needs an index of its own before this one goes.
      if (table === 'backup_jobs') {
        await queryRunner.query(`ALTER TABLE ${table} ADD INDEX fk_backup_jobs_repository (repository_id)`);
      }
      await queryRunner.query(
        `ALTER TABLE ${table} DROP INDEX ix_${table}_slots, DROP COLUMN parked_at, DROP COLUMN deaths`,
      );
    }
  }
}
