import type { MigrationInterface, QueryRunner } from 'typeorm';

/** What agents and workers tell each other about pushed backups, and which ports of which host are theirs. */
export class AddPushExports1795000000005 implements MigrationInterface {
  readonly name = 'AddPushExports1795000000005';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`CREATE TABLE push_exports (
      backup_id varchar(64) NOT NULL,
      state varchar(16) NOT NULL,
      attempt int NOT NULL DEFAULT 0,
      fence bigint NULL,
      offer json NULL,
      opened_at datetime(3) NULL,
      telemetry int NOT NULL DEFAULT 0,
      bytes_done bigint NULL,
      bytes_total bigint NULL,
      asked int NOT NULL DEFAULT 0,
      answered int NOT NULL DEFAULT 0,
      verdict varchar(64) NULL,
      change_id varchar(191) NULL,
      bytes_transferred bigint NULL,
      failed_reason text NULL,
      PRIMARY KEY (backup_id),
      CONSTRAINT ck_push_exports_state CHECK (state IN ('waiting', 'open', 'accepted')),
      CONSTRAINT ck_push_exports_open CHECK (state <> 'open' OR (offer IS NOT NULL AND fence IS NOT NULL)),
      CONSTRAINT fk_push_exports_backup FOREIGN KEY (backup_id) REFERENCES backup_jobs (id) ON DELETE CASCADE ON UPDATE RESTRICT
    ) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin`);
    await queryRunner.query(`CREATE TABLE push_ports (
      host varchar(191) NOT NULL,
      port int NOT NULL,
      backup_id varchar(64) NOT NULL,
      fence bigint NOT NULL,
      taken_at datetime(3) NOT NULL,
      INDEX ix_push_ports_backup (backup_id),
      PRIMARY KEY (host, port),
      CONSTRAINT fk_push_ports_backup FOREIGN KEY (backup_id) REFERENCES backup_jobs (id) ON DELETE CASCADE ON UPDATE RESTRICT
    ) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin`);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('DROP TABLE push_ports');
    await queryRunner.query('DROP TABLE push_exports');
  }
}
