import { type Static, Type } from 'typebox';
import { closed, DiskId, nullable, oneOf, RepositoryRef, UpstreamId, VmName } from './common.js';

export const ChangeIdQuery = closed({
  vm_name: VmName,
  repository_id: RepositoryRef,
  disk_id: DiskId,
  upstream_id: Type.Optional(UpstreamId),
  backup_type: Type.Optional(
    oneOf(
      ['incremental', 'differential'],
      'Of the latest backup, or of the full that a differential stands on. Default: incremental.',
    ),
  ),
});
export type ChangeIdQuery = Static<typeof ChangeIdQuery>;

export const ChangeIdAnswer = closed({
  vm_name: Type.String(),
  disk_id: DiskId,
  change_id: nullable(Type.String({ description: 'Null when there is none: take a full.' })),
  backup_id: nullable(Type.String({ description: 'The completed backup that it belongs to.' })),
});
export type ChangeIdAnswer = Static<typeof ChangeIdAnswer>;
