import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Pools of repositories that no live worker serves, and since when. */
export class AddUnservedPools1796000000160 implements MigrationInterface {
  readonly name = 'AddUnservedPools1796000000160';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`CREATE TABLE unserved_pools (
      pool varchar(63) NOT NULL,
      since datetime(3) NOT NULL,
      told_at datetime(3) NULL,
      PRIMARY KEY (pool)
    ) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin`);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('DROP TABLE unserved_pools');
  }
}
