import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { allItems, type Repository, type StrataClient, type Vm } from '../../client/index.js';
import { isStrataError } from '../../shared/errors.js';
import type { DemoTarget } from './target.js';

const REPOSITORY = 'demo';

/** The demonstration's repository, in the data directory; registered at the first run. */
export async function ensureRepository(
  client: StrataClient,
  dataDir: string,
  signal: AbortSignal,
): Promise<Repository> {
  const known = await findRepository(client, signal);
  if (known) return known;
  const root = join(dataDir, 'repository');
  await mkdir(root, { recursive: true, mode: 0o700 });
  try {
    return await client.repositories.create({ name: REPOSITORY, type: 'local', root_path: root }, { signal });
  } catch (error) {
    // Two demonstrations at once: the other one was first.
    const other = isStrataError(error, 'name_taken') ? await findRepository(client, signal) : undefined;
    if (other) return other;
    throw error;
  }
}

async function findRepository(client: StrataClient, signal: AbortSignal): Promise<Repository | undefined> {
  const all = await allItems((page) => client.repositories.list(page, { signal }));
  return all.find(({ name }) => name === REPOSITORY);
}

/**
 * The VM of the disk, registered at the first run. Another disk of the same file name gets a name of its own: chains are
 * never shared.
 */
export async function ensureVm(
  client: StrataClient,
  repository: Repository,
  target: DemoTarget,
  signal: AbortSignal,
): Promise<Vm> {
  for (const name of [target.vmName, target.otherVmName]) {
    const { items } = await client.vms.list({ vm_name: name, repository_id: repository.id }, { signal });
    const [vm] = items;
    const disk = vm?.disks.find(({ disk_id }) => disk_id === 0);
    if (vm && disk && isDeepStrictEqual(disk.source, target.source)) return vm;
    if (!vm || name === target.otherVmName) {
      const body = {
        vm_name: name,
        repository_id: repository.id,
        disks: [{ disk_id: 0, source: target.source }],
      };
      return client.vms.put(body, { signal });
    }
  }
  return client.vms.get(target.otherVmName, { signal });
}
