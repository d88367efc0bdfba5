import { asking } from '../transaction.js';
import type { DataSource } from 'typeorm';
import { BackupChain, BackupJob, type Health } from '../../entities/index.js';
import { StrataError } from '../../shared/errors.js';
import { type PageOf, type PageRequest, pageById, select } from '../page.js';

export interface ChainFacts {
  chain: BackupChain;
  vmName: string;
  repositoryId: string;
  /** True while a lease is held and has not run out, by the database's clock. */
  leaseLive: boolean;
}

export interface ChainFilter {
  vmContextId?: string | undefined;
  repositoryId?: string | undefined;
  health?: Health | undefined;
}

/** Chains in the order of their ids, without their backups. */
export async function listChains(
  ds: DataSource,
  filter: ChainFilter,
  page: PageRequest,
): Promise<PageOf<ChainFacts>> {
  const query = ds.getRepository(BackupChain).createQueryBuilder('c').where('c.vmContextId IS NOT NULL');
  const { vmContextId, repositoryId, health } = filter;
  if (vmContextId !== undefined) query.andWhere('c.vmContextId = :vmContextId', { vmContextId });
  if (health !== undefined) query.andWhere('c.health = :health', { health });
  if (repositoryId !== undefined) {
    query.andWhere(
      'EXISTS (SELECT 1 FROM vm_contexts v WHERE v.vm_context_id = c.vm_context_id AND v.repository_id = :repositoryId)',
      { repositoryId },
    );
  }
  const { rows, next } = await pageById(query, 'c.id', page, (row) => row.id);
  return { rows: await withFacts(ds, rows), next };
}

/** @throws not_found */
export async function getChain(ds: DataSource, id: string): Promise<ChainFacts> {
  return one(ds, await asking(() => ds.getRepository(BackupChain).findOneBy({ id })), `chain ${id}`);
}

/** @throws not_found */
export async function getChainOfDisk(
  ds: DataSource,
  vmContextId: string,
  diskId: number,
): Promise<ChainFacts> {
  const chain = await asking(() => ds.getRepository(BackupChain).findOneBy({ vmContextId, diskId }));
  if (!chain) throw await noSuchDisk(ds, vmContextId, diskId);
  return one(ds, chain, `chain of disk ${diskId} of VM ${vmContextId}`);
}

/** Whoever names a disk that there is not has mostly meant another one. */
async function noSuchDisk(ds: DataSource, vmContextId: string, diskId: number): Promise<StrataError> {
  const rows = await select<{ disk_id: number }>(
    ds,
    'SELECT disk_id FROM backup_chains WHERE vm_context_id = ? ORDER BY disk_id',
    [vmContextId],
  );
  const ids = rows.map(({ disk_id }) => disk_id).join(', ');
  const others = rows.length === 0 ? 'no disk' : `${rows.length === 1 ? 'disk' : 'disks'} ${ids}`;
  return new StrataError('not_found', `VM ${vmContextId} has no disk ${diskId}; it has ${others}.`);
}

/** The newest restore point of a chain; null where it has none. @throws database_unavailable */
export async function latestBackupOf(ds: DataSource, chainId: string): Promise<string | null> {
  const [row] = await select<{ latest: string | null }>(
    ds,
    'SELECT latest_backup_id AS latest FROM backup_chains WHERE id = ?',
    [chainId],
  );
  return row?.latest ?? null;
}

/** Every backup of a chain, whatever became of it, in the order in which they were accepted. */
export async function backupsOfChain(ds: DataSource, chainId: string): Promise<BackupJob[]> {
  return asking(() => ds.getRepository(BackupJob).find({ where: { chainId }, order: { seq: 'ASC' } }));
}

async function one(ds: DataSource, chain: BackupChain | null, what: string): Promise<ChainFacts> {
  const [found] = chain ? await withFacts(ds, [chain]) : [];
  if (!found) throw new StrataError('not_found', `There is no ${what}.`);
  return found;
}

async function withFacts(ds: DataSource, chains: readonly BackupChain[]): Promise<ChainFacts[]> {
  if (chains.length === 0) return [];
  const rows = await select<{ id: string; vm_name: string; repository_id: string; live: number }>(
    ds,
    `SELECT c.id, v.vm_name, v.repository_id,
            (c.lease_until IS NOT NULL AND c.lease_until > UTC_TIMESTAMP(3)) AS live
     FROM backup_chains c JOIN vm_contexts v ON v.vm_context_id = c.vm_context_id WHERE c.id IN (?)`,
    [chains.map((chain) => chain.id)],
  );
  const facts = new Map(rows.map((row) => [row.id, row]));
  return chains.map((chain) => {
    const row = facts.get(chain.id);
    return {
      chain,
      vmName: row?.vm_name ?? '',
      repositoryId: row?.repository_id ?? '',
      leaseLive: Number(row?.live ?? 0) === 1,
    };
  });
}
