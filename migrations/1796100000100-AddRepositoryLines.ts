import type { MigrationInterface, QueryRunner } from 'typeorm';

/** A row of `backup_chains` without a disk is the line of a repository: where jobs on the repository as a whole wait. */
const UP = [
  'ALTER TABLE backup_chains DROP FOREIGN KEY fk_backup_chains_disk',
  `ALTER TABLE backup_chains
     MODIFY COLUMN vm_context_id varchar(191) NULL, MODIFY COLUMN disk_id int NULL,
     ADD COLUMN repository_id varchar(64) NULL,
     ADD UNIQUE INDEX uq_backup_chains_repository (repository_id)`,
  `ALTER TABLE backup_chains
     ADD CONSTRAINT ck_backup_chains_owner CHECK
       ((repository_id IS NULL) = (vm_context_id IS NOT NULL) AND (vm_context_id IS NULL) = (disk_id IS NULL))`,
  `ALTER TABLE backup_chains
     ADD CONSTRAINT fk_backup_chains_disk FOREIGN KEY (vm_context_id, disk_id)
       REFERENCES vm_disks(vm_context_id,disk_id) ON DELETE RESTRICT ON UPDATE RESTRICT,
     ADD CONSTRAINT fk_backup_chains_repository FOREIGN KEY (repository_id)
       REFERENCES repositories(id) ON DELETE RESTRICT ON UPDATE RESTRICT`,
];

const OF_LINES = 'chain_id IN (SELECT id FROM backup_chains WHERE repository_id IS NOT NULL)';

const DOWN = [
  `DELETE FROM job_steps WHERE job_id IN (SELECT id FROM maintenance_jobs WHERE ${OF_LINES})`,
  `DELETE FROM maintenance_jobs WHERE ${OF_LINES}`,
  'DELETE FROM backup_chains WHERE repository_id IS NOT NULL',
  'ALTER TABLE backup_chains DROP FOREIGN KEY fk_backup_chains_disk, DROP FOREIGN KEY fk_backup_chains_repository',
  'ALTER TABLE backup_chains DROP CONSTRAINT ck_backup_chains_owner',
  `ALTER TABLE backup_chains
     DROP INDEX uq_backup_chains_repository, DROP COLUMN repository_id,
     MODIFY COLUMN vm_context_id varchar(191) NOT NULL, MODIFY COLUMN disk_id int NOT NULL`,
  `ALTER TABLE backup_chains
     ADD CONSTRAINT fk_backup_chains_disk FOREIGN KEY (vm_context_id, disk_id)
       REFERENCES vm_disks(vm_context_id,disk_id) ON DELETE RESTRICT ON UPDATE RESTRICT`,
];

export class AddRepositoryLines1796100000100 implements MigrationInterface {
  readonly name = 'AddRepositoryLines1796100000100';

  async up(queryRunner: QueryRunner): Promise<void> {
    for (const statement of UP) await queryRunner.query(statement);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    for (const statement of DOWN) await queryRunner.query(statement);
  }
}
