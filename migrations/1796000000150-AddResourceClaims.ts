import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Which files and devices outside of the repositories the running jobs read and write. */
export class AddResourceClaims1796000000150 implements MigrationInterface {
  readonly name = 'AddResourceClaims1796000000150';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`CREATE TABLE resource_claims (
      kernel varchar(64) NOT NULL,
      storage varchar(128) NOT NULL,
      job_id varchar(64) NOT NULL,
      kind varchar(16) NOT NULL,
      mode varchar(8) NOT NULL,
      chain_id varchar(64) NOT NULL,
      fence bigint NOT NULL,
      claimed_at datetime(3) NOT NULL,
      PRIMARY KEY (kernel, storage, job_id)
    ) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin`);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('DROP TABLE resource_claims');
  }
}
