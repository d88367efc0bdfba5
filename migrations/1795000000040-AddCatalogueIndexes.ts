import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * What was looked for row by row in a catalogue of 10,000 chains: a VM by its name alone, chains by their health, expired
 * backups whose files are still there (columns of 1795000000009, so this comes after it).
 */
const INDEXES: [table: string, name: string, columns: string][] = [
  ['vm_contexts', 'ix_vm_contexts_vm_name', 'vm_name'],
  ['backup_chains', 'ix_backup_chains_health', 'health, id'],
  ['backup_jobs', 'ix_backup_jobs_files_left', 'file_removed_at, expired_at'],
];

export class AddCatalogueIndexes1795000000040 implements MigrationInterface {
  readonly name = 'AddCatalogueIndexes1795000000040';

  async up(queryRunner: QueryRunner): Promise<void> {
    for (const [table, name, columns] of INDEXES) {
      await queryRunner.query(`ALTER TABLE ${table} ADD INDEX ${name} (${columns})`);
    }
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    for (const [table, name] of INDEXES) await queryRunner.query(`ALTER TABLE ${table} DROP INDEX ${name}`);
  }
}
