import type { ChainSpace, RepositorySpace } from '../../client/index.js';
import { renderFields, renderTable } from './table.js';

/** Draws what a repository holds, disk by disk. */
export function renderSpace(
  name: string,
  { chains, quarantine, uncatalogued, ...space }: RepositorySpace,
  size: (bytes: number | null) => string,
): string {
  const sum = (bytes: (row: ChainSpace) => number) => chains.reduce((total, row) => total + bytes(row), 0);
  const head = renderFields([
    ['repository', name],
    ['size', size(space.total_bytes)],
    ['available', size(space.available_bytes)],
    ['reserve', size(space.reserve_bytes)],
    ['restore points', size(sum((row) => row.points_bytes))],
    ['reclaimable', size(sum((row) => row.reclaimable_bytes))],
    [
      'quarantine',
      quarantine ? `${size(quarantine.bytes)} in ${quarantine.files} files` : 'not mounted by the API',
    ],
    ...(uncatalogued && uncatalogued.files > 0
      ? [
          [
            'restorable with qemu-img, not in the catalogue',
            `${size(uncatalogued.bytes)} in ${uncatalogued.files} files`,
          ] as const,
        ]
      : []),
  ]);
  const table = renderTable(
    [
      { title: 'VM', value: (row: ChainSpace) => row.vm_name },
      { title: 'DISK', value: (row) => row.disk_id, align: 'right' },
      { title: 'POINTS', value: (row) => row.points, align: 'right' },
      { title: 'TAKE', value: (row) => size(row.points_bytes), align: 'right' },
      { title: 'RECLAIMABLE', value: (row) => size(row.reclaimable_bytes), align: 'right' },
      { title: 'CHAIN', value: (row) => row.chain_id },
    ],
    chains,
    'It holds no backups.',
  );
  return head + table;
}
