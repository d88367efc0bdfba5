import type { MigrationInterface, QueryRunner } from 'typeorm';

/** How often a repository's chains are validated, until when nothing more begins, and when a chain was read as a whole. */
export class AddValidationCadence1795000000008 implements MigrationInterface {
  readonly name = 'AddValidationCadence1795000000008';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(
      `ALTER TABLE repositories
         ADD COLUMN validate_quick_hours int NOT NULL DEFAULT 24,
         ADD COLUMN validate_deep_days int NOT NULL DEFAULT 30,
         ADD COLUMN validate_bytes_per_hour bigint NULL,
         ADD COLUMN quick_next_at datetime(3) NULL,
         ADD COLUMN deep_next_at datetime(3) NULL`,
    );
    await queryRunner.query('ALTER TABLE backup_chains ADD COLUMN deep_validated_at datetime(3) NULL');
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('ALTER TABLE backup_chains DROP COLUMN deep_validated_at');
    await queryRunner.query(
      `ALTER TABLE repositories DROP COLUMN validate_quick_hours, DROP COLUMN validate_deep_days,
         DROP COLUMN validate_bytes_per_hour, DROP COLUMN quick_next_at, DROP COLUMN deep_next_at`,
    );
  }
}
