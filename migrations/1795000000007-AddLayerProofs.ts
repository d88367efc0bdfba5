import type { MigrationInterface, QueryRunner } from 'typeorm';

/** What deep validations know of each file, and whether a backup's health reaches those above it. */
export class AddLayerProofs1795000000007 implements MigrationInterface {
  readonly name = 'AddLayerProofs1795000000007';

  async up(queryRunner: QueryRunner): Promise<void> {
    // The proof is about the backup and about nothing else: it goes with its row.
    await queryRunner.query(
      `CREATE TABLE layer_proofs (
         backup_id varchar(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
         proved_at datetime(3) NULL,
         damage json NULL,
         reach json NULL,
         pass json NULL,
         PRIMARY KEY (backup_id),
         CONSTRAINT fk_layer_proofs_backup FOREIGN KEY (backup_id) REFERENCES backup_jobs(id) ON DELETE CASCADE ON UPDATE RESTRICT
       ) ENGINE=InnoDB`,
    );
    await queryRunner.query('ALTER TABLE backup_jobs ADD COLUMN damage_located tinyint NOT NULL DEFAULT 0');
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('ALTER TABLE backup_jobs DROP COLUMN damage_located');
    await queryRunner.query('DROP TABLE layer_proofs');
  }
}
