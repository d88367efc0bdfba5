import type { SourceWarning, VmDiskPut, VmPut } from '../../contract/index.js';
import type { EntityManager } from '../../db/database.js';
import { putDisk, retireDisks } from '../../db/vm/disks.js';
import { enabledRepository } from '../../db/repository/repositories.js';
import { addContext, locateContext, renameContext } from '../../db/vm/vmContexts.js';
import { inTransaction } from '../../db/transaction.js';
import { newId, randomPart } from '../../shared/ids.js';
import { checkText, checkVmName, slug } from '../../shared/names.js';
import type { AcceptDeps } from './deps.js';
import { lookForSame } from './sameSources.js';
import { checkDisks } from './diskSource.js';

export interface RegisteredVm {
  vmContextId: string;
  warnings: SourceWarning[];
}

/**
 * Registers a VM, or registers it again: disks that are listed are added or updated, disks that are not are retired.
 * A retired disk keeps its chain; listed again it is the same disk.
 * @returns the VM's context id, and what there is to say of its sources
 * @throws source_encrypted, source_references_other_file, source_unsupported of a source that this host can see
 */
export async function registerVm(deps: AcceptDeps, body: VmPut): Promise<RegisteredVm> {
  checkVmName(body.vm_name, 'vm_name');
  checkDisks(deps, body.disks);
  body.disks.forEach(({ label }, index) => {
    if (label !== undefined) checkText(label, `disks[${index}].label`);
  });
  const looked = await lookAtSources(deps, body.disks);
  const disks = body.disks.flatMap(({ disk_id, source }) => (source ? [{ diskId: disk_id, source }] : []));
  const same = await lookForSame(
    deps,
    disks.map(({ source }) => source),
  );
  const vm = { vmName: body.vm_name, upstreamId: body.upstream_id ?? '', listsAll: true };
  return inTransaction(deps.ds, async (tx) => {
    const { id } = await enabledRepository(tx, body.repository_id);
    const vmContextId = await ensureContext(tx, deps, id, body.vm_name, body.upstream_id ?? '');
    for (const disk of body.disks) await upsertDisk(tx, deps, vmContextId, disk);
    const kept = body.disks.map((disk) => disk.disk_id);
    await retireDisks(tx, vmContextId, kept);
    return { vmContextId, warnings: [...looked, ...same({ ...vm, vmContextId }, disks)] };
  });
}

/** One after the other: a file system that hangs is to hold as little as can be. */
async function lookAtSources(
  { sourceLook, settings }: AcceptDeps,
  disks: readonly VmDiskPut[],
): Promise<SourceWarning[]> {
  const warnings: SourceWarning[] = [];
  for (const [index, { disk_id, source }] of disks.entries()) {
    const field = `disks[${index}].source.path`;
    const doubt = source && (await sourceLook.at(source, settings.sourceRoots, field));
    if (doubt) warnings.push({ disk_id, ...doubt });
  }
  return warnings;
}

/** The VM's context in this repository, made if it is new. One that has been renamed is called by its new name from now on. */
export async function ensureContext(
  tx: EntityManager,
  deps: AcceptDeps,
  repositoryId: string,
  vmName: string,
  upstreamId: string,
): Promise<string> {
  checkText(upstreamId, 'upstream_id');
  const vm = { repositoryId, vmName, upstreamId };
  const known = await locateContext(tx, vm);
  if (known?.formerName === undefined) {
    if (known) return known.vmContextId;
  } else if (await renameContext(tx, known, vmName)) {
    deps.log.warn({ ...known, vmName, upstreamId }, 'a VM has another name and goes on with its backups');
    return known.vmContextId;
  }
  // The id names a directory: the slug is for people, the random part makes it unique.
  return addContext(tx, { vmContextId: `${slug(vmName)}-${randomPart(12)}`, ...vm }, deps.clock.now());
}

/** Adds or updates a disk; what the body leaves out stays as it was. */
export async function upsertDisk(
  tx: EntityManager,
  deps: AcceptDeps,
  vmContextId: string,
  disk: VmDiskPut,
): Promise<void> {
  const { disk_id: diskId, label, virtual_size: virtualSize, source } = disk;
  const chainId = newId('chn', deps.clock.now());
  await putDisk(tx, vmContextId, { diskId, label, virtualSize, source }, chainId);
}
