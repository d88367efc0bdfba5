import type { MigrationInterface, QueryRunner } from 'typeorm';

/** When a VM's restore points were last looked through, and since when a repository is too full. */
export class AddRetention1795000000013 implements MigrationInterface {
  readonly name = 'AddRetention1795000000013';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(
      `ALTER TABLE policy_members ADD COLUMN retained_at datetime(3) NULL, ADD INDEX ix_policy_members_retained (retained_at)`,
    );
    await queryRunner.query('ALTER TABLE repositories ADD COLUMN low_space_since datetime(3) NULL');
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(
      'ALTER TABLE policy_members DROP INDEX ix_policy_members_retained, DROP COLUMN retained_at',
    );
    await queryRunner.query('ALTER TABLE repositories DROP COLUMN low_space_since');
  }
}
