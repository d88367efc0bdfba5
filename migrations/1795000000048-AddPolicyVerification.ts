import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Which validation the backups of a policy ask for (a column of 1795000000012's table, so this comes after it). */
export class AddPolicyVerification1795000000048 implements MigrationInterface {
  readonly name = 'AddPolicyVerification1795000000048';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('ALTER TABLE policies ADD COLUMN verify varchar(16) NULL');
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('ALTER TABLE policies DROP COLUMN verify');
  }
}
