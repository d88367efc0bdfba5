import type { MigrationInterface, QueryRunner } from 'typeorm';

/** What a comparison of catalogue and files has found that the catalogue lacks and qemu-img restores. */
export class AddUncatalogued1796000000100 implements MigrationInterface {
  readonly name = 'AddUncatalogued1796000000100';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`ALTER TABLE repositories
      ADD COLUMN uncatalogued_files int NULL,
      ADD COLUMN uncatalogued_bytes bigint NULL,
      ADD COLUMN compared_at datetime(3) NULL`);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`ALTER TABLE repositories
      DROP COLUMN uncatalogued_files, DROP COLUMN uncatalogued_bytes, DROP COLUMN compared_at`);
  }
}
