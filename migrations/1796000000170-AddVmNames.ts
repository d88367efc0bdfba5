import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Names as long as a hypervisor has them, and VMs that are found again by their upstream's id after they were renamed. */
export class AddVmNames1796000000170 implements MigrationInterface {
  readonly name = 'AddVmNames1796000000170';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      ALTER TABLE vm_contexts
        MODIFY COLUMN vm_name varchar(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
        ADD COLUMN previous_name varchar(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
        ADD COLUMN renamed_at datetime(3) NULL,
        ADD INDEX ix_vm_contexts_upstream (repository_id, upstream_id)`);
    // A VM's id is longer than that of a job.
    await queryRunner.query(`
      ALTER TABLE outbox_events
        MODIFY COLUMN subject_id varchar(191) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL`);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`DELETE FROM outbox_events WHERE CHAR_LENGTH(subject_id) > 64`);
    await queryRunner.query(`
      ALTER TABLE outbox_events
        MODIFY COLUMN subject_id varchar(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL`);
    await queryRunner.query(`
      ALTER TABLE vm_contexts
        DROP INDEX ix_vm_contexts_upstream,
        DROP COLUMN renamed_at,
        DROP COLUMN previous_name,
        MODIFY COLUMN vm_name varchar(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL`);
  }
}
