import type { DataSource } from 'typeorm';

export interface CatalogueSize {
  chains: number;
  /** Completed backups of each chain. */
  backups: number;
}

/** A full and its increments, as a weekly full leaves them. */
const SEGMENT = 25;
const DISK_BYTES = 64 * 1024 ** 3;

/** Ids as `newId` makes them: the beginning is the time, so that they sort by it. `c` and `b` are chain and backup. */
const id = (prefix: string, backup = 'b') =>
  `CONCAT('${prefix}_01', LPAD(LOWER(CONV(${backup} * 1000000 + c, 10, 32)), 8, '0'), LPAD(c, 16, 'x'))`;
const VM = `CONCAT('vm-', c, '-context')`;

export const vmNameOf = (chain: number) => `vm-${chain}`;
/** As `CHAIN` below. */
export const chainIdOf = (chain: number) =>
  `chn_01${chain.toString(32).padStart(8, '0')}${String(chain).padStart(16, 'x')}`;

const CHAIN = id('chn', '0');
const CREATED = `TIMESTAMPADD(SECOND, b * 86400 + c, '2024-01-01')`;
const IS_FULL = `(b - 1) % ${SEGMENT} = 0`;
const PARENT = `IF(${IS_FULL}, NULL, ${id('bkp', '(b - 1)')})`;

/**
 * Fills a catalogue with completed backups, one VM of one disk for each chain, by a few statements; MariaDB only. The rows
 * are what the schema demands and no files stand behind them.
 */
export async function fillCatalogue(
  ds: DataSource,
  repositoryId: string,
  { chains, backups }: CatalogueSize,
): Promise<void> {
  const each = `FROM (SELECT seq AS c FROM seq_1_to_${chains}) chains`;
  const every = `FROM (SELECT seq AS b FROM seq_1_to_${backups}) backups STRAIGHT_JOIN (SELECT seq AS c FROM seq_1_to_${chains}) chains`;
  const latest = String(backups);
  const full = String(backups - ((backups - 1) % SEGMENT));
  const runner = ds.createQueryRunner();
  try {
    // Every row is known to fit; checking a million of them would take as long again.
    await runner.query('SET SESSION foreign_key_checks = 0, unique_checks = 0');
    for (const [sql, values] of [
      [
        `INSERT INTO vm_contexts (vm_context_id, vm_name, repository_id, created_at)
         SELECT ${VM}, CONCAT('vm-', c), ?, '2024-01-01' ${each}`,
        [repositoryId],
      ],
      [
        `INSERT INTO vm_disks (vm_context_id, disk_id, virtual_size, source)
         SELECT ${VM}, 0, ${DISK_BYTES}, '{"type":"file","path":"/sources/any.raw","format":"raw"}' ${each}`,
        [],
      ],
      [
        `INSERT INTO backup_chains (id, vm_context_id, disk_id, full_backup_id, latest_backup_id, total_backups, last_seq, fence, committed)
         SELECT ${CHAIN}, ${VM}, 0, ${id('bkp', full)}, ${id('bkp', latest)}, ?, ?, ?, ? ${each}`,
        [backups, backups, backups, backups],
      ],
      [
        `INSERT INTO restore_points (id, vm_context_id, repository_id, type, status, created_at, completed_at)
         SELECT ${id('rp')}, ${VM}, ?, 'auto', 'completed', ${CREATED}, ${CREATED} ${every}`,
        [repositoryId],
      ],
      [
        `INSERT INTO backup_jobs (id, chain_id, seq, status, fence, attempts, created_at, started_at, completed_at,
           restore_point_id, vm_context_id, disk_id, repository_id, requested_type, backup_type, parent_backup_id,
           successor_of, change_id, request, repository_path, virtual_size, size_bytes, bytes_transferred, content_id)
         SELECT ${id('bkp')}, ${CHAIN}, b, 'completed', b, 1, ${CREATED}, ${CREATED}, ${CREATED},
           ${id('rp')}, ${VM}, 0, ?, 'auto', IF(${IS_FULL}, 'full', 'incremental'), ${PARENT},
           ${PARENT}, CONCAT('change-', b), '{"source":{"type":"push"},"on_broken_chain":"full","has_extents":false}',
           CONCAT(${VM}, '/disk-0/', b, '.qcow2'), ${DISK_BYTES}, 1000000, 1000000, SHA2(CONCAT(c, '/', b), 256) ${every}`,
        [repositoryId],
      ],
    ] satisfies [string, unknown[]][]) {
      await runner.query(sql, values);
    }
    await runner.query('ANALYZE TABLE backup_jobs, backup_chains, restore_points, vm_contexts, vm_disks');
  } finally {
    await runner.query('SET SESSION foreign_key_checks = 1, unique_checks = 1');
    await runner.release();
  }
}
