import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Restores that are asked for although the backup is damaged. */
export class AddDamagedRestores1795000000055 implements MigrationInterface {
  readonly name = 'AddDamagedRestores1795000000055';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('ALTER TABLE restore_jobs ADD COLUMN allow_damaged tinyint NOT NULL DEFAULT 0');
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('ALTER TABLE restore_jobs DROP COLUMN allow_damaged');
  }
}
