import { type Static, Type } from 'typebox';
import { BackupType } from './backups.js';
import {
  Bytes,
  closed,
  DiskId,
  Health,
  Id,
  JobStatus,
  nullable,
  oneOf,
  PageQuery,
  pageOf,
  RepositoryRef,
  Time,
  VmContextId,
  UpstreamId,
  VmName,
} from './common.js';

/** One backup as a link of its chain. */
export const ChainBackup = closed({
  id: Type.String(),
  restore_point_id: Type.String(),
  parent_backup_id: nullable(Type.String()),
  backup_type: nullable(BackupType),
  demoted_reason: nullable(Type.String()),
  status: JobStatus,
  health: Health,
  created_at: Time('When it was accepted'),
  completed_at: nullable(Time('When it ended')),
  virtual_size: nullable(Bytes('Size of the disk')),
  size_bytes: nullable(Bytes('What the file takes on the file system')),
  bytes_transferred: nullable(Bytes('Payload written')),
  content_id: nullable(Type.String()),
  change_id: nullable(Type.String()),
  repository_path: nullable(Type.String()),
  error_code: nullable(Type.String()),
});
export type ChainBackup = Static<typeof ChainBackup>;

/** Who works on the chain now. */
export const LeaseState = closed({
  owner: Type.String(),
  job_id: nullable(Type.String()),
  until: Time('When it runs out unless it is renewed'),
  live: Type.Boolean({ description: "False when it has run out, by the database's clock." }),
});
export type LeaseState = Static<typeof LeaseState>;

const properties = {
  id: Type.String(),
  vm_context_id: Type.String(),
  vm_name: Type.String(),
  repository_id: Type.String(),
  disk_id: DiskId,
  full_backup_id: nullable(Type.String({ description: 'Full of the current segment.' })),
  latest_backup_id: nullable(Type.String({ description: 'The newest completed backup.' })),
  total_backups: Type.Integer({ minimum: 0 }),
  total_size_bytes: Bytes('What its files take on the file system'),
  health: Health,
  last_validated_at: nullable(Time('When it was validated')),
  fence: Type.Integer({ minimum: 0 }),
  committed: Type.Integer({ minimum: 0 }),
  lease: nullable(LeaseState),
};

export const ChainSummary = closed(properties);
export type ChainSummary = Static<typeof ChainSummary>;

export const Chain = closed({
  ...properties,
  backups: Type.Array(ChainBackup, { description: 'All of them, in the order in which they were accepted.' }),
});
export type Chain = Static<typeof Chain>;

export const ChainPage = pageOf(ChainSummary);
export type ChainPage = Static<typeof ChainPage>;

export const ChainParams = closed({ chain_id: Id('chn', 'chain') });
export const ChainQuery = closed({
  ...PageQuery,
  vm_context_id: Type.Optional(VmContextId),
  repository_id: Type.Optional(RepositoryRef),
  health: Type.Optional(Health),
});
export type ChainQuery = Static<typeof ChainQuery>;

export const ValidationLevel = oneOf(
  ['quick', 'deep'],
  'quick: files, references, tables and sidecars. deep: also every byte of data against its digest.',
);
export type ValidationLevel = Static<typeof ValidationLevel>;

export const ChainValidate = closed({ level: ValidationLevel });
export type ChainValidate = Static<typeof ChainValidate>;

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
