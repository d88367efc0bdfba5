import { type Static, Type } from 'typebox';
import { Bytes, closed, DiskId, nullable, Time } from './common.js';

export const ChainSpace = closed({
  chain_id: Type.String(),
  vm_context_id: Type.String(),
  vm_name: Type.String(),
  disk_id: DiskId,
  points: Type.Integer({ minimum: 0 }),
  points_bytes: Bytes('Files of restore points'),
  reclaimable_bytes: Bytes(
    'Files of expired backups: at most this comes free when they are merged or removed',
  ),
});
export type ChainSpace = Static<typeof ChainSpace>;

export const RepositorySpace = closed({
  repository_id: Type.String(),
  total_bytes: nullable(Bytes('Size of the file system')),
  available_bytes: nullable(Bytes('Free on the file system')),
  reserve_bytes: Bytes('Room that backups leave free'),
  quarantine: nullable(
    closed(
      { files: Type.Integer({ minimum: 0 }), bytes: Bytes('What they take') },
      'Null where the API does not mount it.',
    ),
  ),
  uncatalogued: nullable(
    closed(
      {
        files: Type.Integer({ minimum: 0 }),
        bytes: Bytes('What they take'),
        compared_at: Time('When catalogue and files were compared'),
      },
      'Images that `qemu-img` restores and the catalogue does not know, with their sidecars: no age removes them. Null before the first comparison.',
    ),
  ),
  chains: Type.Array(ChainSpace, { description: 'The largest first; at most 1000.' }),
});
export type RepositorySpace = Static<typeof RepositorySpace>;
