import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Protections that were changed and are still to be written into their repository. Those of before are written, too. */
export class AddHoldChanges1795000000015 implements MigrationInterface {
  readonly name = 'AddHoldChanges1795000000015';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`CREATE TABLE hold_changes (
      backup_id varchar(64) NOT NULL,
      change_id varchar(36) NOT NULL,
      PRIMARY KEY (backup_id),
      CONSTRAINT fk_hold_changes_backup FOREIGN KEY (backup_id) REFERENCES backup_jobs (id) ON DELETE CASCADE ON UPDATE RESTRICT
    ) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin`);
    await queryRunner.query(
      `INSERT INTO hold_changes (backup_id, change_id) SELECT id, UUID() FROM backup_jobs
       WHERE protected_until > UTC_TIMESTAMP(3)`,
    );
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('DROP TABLE hold_changes');
  }
}
