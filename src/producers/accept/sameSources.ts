import type { SourceWarning } from '../../contract/index.js';
import { type RegisteredSource, registeredSources } from '../../db/vm/vms.js';
import type { DiskSource } from '../../shared/sources.js';
import type { AcceptDeps } from './deps.js';

/** A disk that is being registered or backed up. */
export interface AskedDisk {
  diskId: number;
  source: DiskSource;
}

/** The VM whose disks they are. */
export interface AskingVm {
  vmName: string;
  upstreamId: string;
  vmContextId: string;
  /** The disks are all that the VM has from now on. */
  listsAll?: boolean;
}

/** Says which disks read what another disk reads too, of the same VM or of another. */
export type SameSources = (vm: AskingVm, disks: readonly AskedDisk[]) => SourceWarning[];

/**
 * Looks at every registered source and at those of a request, before any transaction: a file system may be slow.
 * @param asked sources that may not be registered yet
 */
export async function lookForSame(
  { ds, sourceIdentities }: AcceptDeps,
  asked: readonly DiskSource[],
): Promise<SameSources> {
  const known = await registeredSources(ds);
  const sources = [...known.map(({ source }) => source), ...asked];
  const keys = await sourceIdentities.of(sources);
  const keysOf = new Map(sources.map((source, index) => [JSON.stringify(source), keys[index] ?? []]));
  const same = (a: DiskSource, b: DiskSource) => {
    const [ofA = [], ofB = []] = [a, b].map((source) => keysOf.get(JSON.stringify(source)));
    return ofA.some((key) => ofB.includes(key));
  };
  return (vm, disks) =>
    disks.flatMap((disk) => {
      const own = disks.filter((other) => other.diskId !== disk.diskId && same(disk.source, other.source));
      const others = known.filter(
        (other) => !isOwn(vm, disks, disk, other) && same(disk.source, other.source),
      );
      const names = [
        ...own.map(({ diskId }) => `disk ${diskId} of the same VM`),
        ...others.map(({ diskId, vmName }) => `disk ${diskId} of VM ${vmName}`),
      ];
      return names.length === 0 ? [] : [warning(disk.diskId, names)];
    });
}

/**
 * The disk itself, also as it is registered in another repository, and the disks of its VM that the request states itself or
 * retires.
 */
function isOwn(
  vm: AskingVm,
  disks: readonly AskedDisk[],
  { diskId }: AskedDisk,
  other: RegisteredSource,
): boolean {
  const sameVm = other.vmName === vm.vmName && other.upstreamId === vm.upstreamId;
  if (!sameVm && other.vmContextId !== vm.vmContextId) return false;
  return (
    vm.listsAll === true || other.diskId === diskId || disks.some((each) => each.diskId === other.diskId)
  );
}

const MOST_NAMES = 5;

function warning(diskId: number, names: readonly string[]): SourceWarning {
  const more = names.length > MOST_NAMES ? ` and ${names.length - MOST_NAMES} more` : '';
  return {
    disk_id: diskId,
    code: 'same_source',
    message: `It reads the same disk as ${names.slice(0, MOST_NAMES).join(', ')}${more}. Each has a chain of its own, with the same content.`,
  };
}
