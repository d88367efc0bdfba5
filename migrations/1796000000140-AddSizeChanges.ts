import type { MigrationInterface, QueryRunner } from 'typeorm';

/** How often a disk was seen with another size, and what that count was when a backup began to read it. */
export class AddSizeChanges1796000000140 implements MigrationInterface {
  readonly name = 'AddSizeChanges1796000000140';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('ALTER TABLE vm_disks ADD COLUMN size_changes INT NOT NULL DEFAULT 0');
    await queryRunner.query('ALTER TABLE backup_jobs ADD COLUMN size_changes INT NULL');
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('ALTER TABLE backup_jobs DROP COLUMN size_changes');
    await queryRunner.query('ALTER TABLE vm_disks DROP COLUMN size_changes');
  }
}
