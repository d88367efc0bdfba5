import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Change lists that arrive after the request, in parts of an upload that counts only when it is whole; who told what a
 * backup holds, and whether that one was caught lying; when a chain's full was taken; what a restore point has to say.
 */
export class AddTrackerFacts1795000000006 implements MigrationInterface {
  readonly name = 'AddTrackerFacts1795000000006';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(
      `ALTER TABLE backup_extents ADD COLUMN upload varchar(32) NOT NULL DEFAULT '', DROP PRIMARY KEY,
         ADD PRIMARY KEY (backup_id, upload, part)`,
    );
    await queryRunner.query(
      `ALTER TABLE backup_jobs ADD COLUMN awaits_extents_until datetime(3) NULL, ADD COLUMN extents_upload varchar(32) NULL,
         ADD COLUMN extents_sha256 char(64) NULL, ADD COLUMN tracker varchar(16) NULL, ADD COLUMN doubted_at datetime(3) NULL,
         ADD INDEX ix_backup_jobs_awaits (awaits_extents_until)`,
    );
    await queryRunner.query(
      `ALTER TABLE backup_chains ADD COLUMN tracker_distrust int NOT NULL DEFAULT 0,
         ADD COLUMN backups_since_full int NOT NULL DEFAULT 0, ADD COLUMN full_at datetime(3) NULL`,
    );
    await queryRunner.query('ALTER TABLE restore_points ADD COLUMN notes json NULL');
    await queryRunner.query(
      `UPDATE backup_jobs SET extents_upload = '' WHERE status IN ('queued', 'released', 'running')
         AND id IN (SELECT backup_id FROM backup_extents)`,
    );
    await queryRunner.query(
      `UPDATE backup_chains c JOIN backup_jobs f ON f.id = c.full_backup_id
       SET c.full_at = f.created_at, c.backups_since_full =
         (SELECT COUNT(*) FROM backup_jobs b WHERE b.chain_id = c.id AND b.seq > f.seq AND b.status IN ('completed', 'expired'))`,
    );
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('ALTER TABLE restore_points DROP COLUMN notes');
    await queryRunner.query(
      'ALTER TABLE backup_chains DROP COLUMN tracker_distrust, DROP COLUMN backups_since_full, DROP COLUMN full_at',
    );
    await queryRunner.query(
      `ALTER TABLE backup_jobs DROP INDEX ix_backup_jobs_awaits, DROP COLUMN awaits_extents_until, DROP COLUMN extents_upload,
         DROP COLUMN extents_sha256, DROP COLUMN tracker, DROP COLUMN doubted_at`,
    );
    await queryRunner.query(`DELETE FROM backup_extents WHERE upload <> ''`);
    await queryRunner.query(
      'ALTER TABLE backup_extents DROP PRIMARY KEY, DROP COLUMN upload, ADD PRIMARY KEY (backup_id, part)',
    );
  }
}
