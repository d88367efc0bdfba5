import { asking } from '../transaction.js';
import { type DataSource, In } from '../../entities/orm.js';
import { VmContext, VmDisk } from '../../entities/index.js';
import type { DiskSource } from '../../shared/sources.js';
import { parseJson } from '../job/journal.js';
import { StrataError } from '../../shared/errors.js';
import { type PageOf, type PageRequest, pageById, select } from '../page.js';

export interface DiskWithChain extends VmDisk {
  chainId: string | null;
}

export interface VmWithDisks {
  vm: VmContext;
  disks: DiskWithChain[];
}

export interface VmFilter {
  vmName?: string | undefined;
  repositoryId?: string | undefined;
}

/** VMs with their disks, in the order of their ids. */
export async function listVms(
  ds: DataSource,
  filter: VmFilter,
  page: PageRequest,
): Promise<PageOf<VmWithDisks>> {
  const query = ds.getRepository(VmContext).createQueryBuilder('v');
  if (filter.vmName !== undefined) query.andWhere('v.vmName = :vmName', { vmName: filter.vmName });
  if (filter.repositoryId !== undefined) {
    query.andWhere('v.repositoryId = :repositoryId', { repositoryId: filter.repositoryId });
  }
  const { rows, next } = await pageById(query, 'v.vmContextId', page, (row) => row.vmContextId);
  return { rows: await withDisks(ds, rows), next };
}

/** @throws not_found */
export async function getVm(ds: DataSource, vmContextId: string): Promise<VmWithDisks> {
  const vm = await asking(() => ds.getRepository(VmContext).findOneBy({ vmContextId }));
  const [found] = vm ? await withDisks(ds, [vm]) : [];
  if (!found) throw new StrataError('not_found', `There is no VM ${vmContextId}.`);
  return found;
}

/** Ids of the contexts of a VM's name, in one repository or in all. */
export async function contextsNamed(
  ds: DataSource,
  vmName: string,
  repositoryId: string | undefined,
): Promise<string[]> {
  const where = repositoryId === undefined ? '' : 'repository_id = ? AND ';
  const rows = await select<{ vm_context_id: string }>(
    ds,
    `SELECT vm_context_id FROM vm_contexts WHERE ${where}vm_name = ?`,
    repositoryId === undefined ? [vmName] : [repositoryId, vmName],
  );
  return rows.map((row) => row.vm_context_id);
}

/** Names of VMs by their context ids. */
export async function vmNames(ds: DataSource, ids: readonly string[]): Promise<Map<string, string>> {
  if (ids.length === 0) return new Map();
  const rows = await select<{ vm_context_id: string; vm_name: string }>(
    ds,
    'SELECT vm_context_id, vm_name FROM vm_contexts WHERE vm_context_id IN (?)',
    [[...new Set(ids)]],
  );
  return new Map(rows.map((row) => [row.vm_context_id, row.vm_name]));
}

/** The source of a disk that is not retired. */
export interface RegisteredSource {
  vmContextId: string;
  vmName: string;
  upstreamId: string;
  diskId: number;
  source: DiskSource;
}

/** The sources of all disks of all VMs; pushed disks have none. */
export async function registeredSources(ds: DataSource): Promise<RegisteredSource[]> {
  const rows = await select<Omit<RegisteredSource, 'source'> & { source: unknown }>(
    ds,
    `SELECT d.vm_context_id AS vmContextId, v.vm_name AS vmName, v.upstream_id AS upstreamId, d.disk_id AS diskId, d.source
     FROM vm_disks d JOIN vm_contexts v ON v.vm_context_id = d.vm_context_id
     WHERE d.retired_at IS NULL AND d.source IS NOT NULL ORDER BY v.vm_name, d.vm_context_id, d.disk_id`,
    [],
  );
  return rows.flatMap(({ source, ...row }) => {
    const parsed = parseJson<DiskSource | null>(source);
    return parsed && parsed.type !== 'push' ? [{ ...row, source: parsed }] : [];
  });
}

async function withDisks(ds: DataSource, vms: readonly VmContext[]): Promise<VmWithDisks[]> {
  if (vms.length === 0) return [];
  const ids = vms.map((vm) => vm.vmContextId);
  const disks = await asking(() =>
    ds.getRepository(VmDisk).find({ where: { vmContextId: In(ids) }, order: { diskId: 'ASC' } }),
  );
  const chains = await select<{ id: string; vm_context_id: string; disk_id: number }>(
    ds,
    'SELECT id, vm_context_id, disk_id FROM backup_chains WHERE vm_context_id IN (?)',
    [ids],
  );
  const chainOf = new Map(chains.map((chain) => [`${chain.disk_id}/${chain.vm_context_id}`, chain.id]));
  return vms.map((vm) => ({
    vm,
    disks: disks
      .filter((disk) => disk.vmContextId === vm.vmContextId)
      .map((disk) => ({ ...disk, chainId: chainOf.get(`${disk.diskId}/${disk.vmContextId}`) ?? null })),
  }));
}
