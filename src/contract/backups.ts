import { type Static, Type } from 'typebox';
import {
  Bytes,
  ChangeId,
  closed,
  DeadlineSeconds,
  DiskId,
  Health,
  Id,
  JobError,
  JobStatus,
  JobTimes,
  MaxBytesPerSecond,
  nullable,
  oneOf,
  PageQuery,
  pageOf,
  Progress,
  RepositoryRef,
  Time,
  UpstreamId,
  VerifyBackup,
  VmContextId,
  VmName,
  WaitingFor,
} from './common.js';
import { NbdExport } from './push.js';
import { Source } from './sources.js';
import { MOST_DISKS, SourceWarnings } from './vms.js';

/** Largest change list of a request; a bigger one follows it by PUT /backups/{backup_id}/extents. */
export const MOST_EXTENTS = 200_000;
/** Largest body of PUT /backups/{backup_id}/extents, in bytes: some 20 million extents. */
export const EXTENTS_BODY_LIMIT = 1024 * 1024 * 1024;
/** Largest body of POST /backups, in bytes. */
export const BACKUP_BODY_LIMIT = 16 * 1024 * 1024;

export const RequestedType = oneOf(['full', 'incremental', 'differential', 'auto']);
export type RequestedType = Static<typeof RequestedType>;
export const BackupType = oneOf(['full', 'incremental', 'differential']);
export type BackupType = Static<typeof BackupType>;

export const Extent = closed({
  offset: Bytes('Where it begins on the guest disk'),
  length: Bytes('Its length, above 0'),
});
export type Extent = Static<typeof Extent>;

export const Tags = Type.Record(Type.String({ pattern: '^.{1,63}$' }), Type.String({ maxLength: 255 }), {
  maxProperties: 32,
  additionalProperties: false,
  description: 'Up to 32 words of your own, by name.',
});

export const BackupDiskCreate = closed({
  disk_id: DiskId,
  source: Type.Optional(Source),
  virtual_size: Type.Optional(Bytes('Size of the disk, a multiple of 512')),
  change_id: Type.Optional(ChangeId),
  since_change_id: Type.Optional(ChangeId),
  changed_extents: Type.Optional(
    Type.Array(Extent, {
      maxItems: MOST_EXTENTS,
      description: 'What has changed since `since_change_id`; any order, overlaps allowed.',
    }),
  ),
  extents_follow: Type.Optional(
    Type.Boolean({
      description:
        'The change list is too long for this request: the backup waits for PUT /backups/{backup_id}/extents.',
    }),
  ),
});
export type BackupDiskCreate = Static<typeof BackupDiskCreate>;

export const BackupCreate = closed({
  vm_name: VmName,
  repository_id: RepositoryRef,
  upstream_id: Type.Optional(UpstreamId),
  backup_type: RequestedType,
  disks: Type.Optional(
    Type.Array(BackupDiskCreate, {
      minItems: 1,
      maxItems: MOST_DISKS,
      description: 'Left out: all registered disks of the VM.',
    }),
  ),
  on_broken_chain: Type.Optional(
    oneOf(
      ['full', 'fail'],
      'What an increment without a usable parent becomes; fail: one without its dirty bitmap fails, too. Default: full.',
    ),
  ),
  full_every: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: 10_000,
      description: 'For `auto`: every so-many-th backup is a full.',
    }),
  ),
  full_after_days: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: 3650,
      description: 'For `auto`: a full when the last one is so many days old.',
    }),
  ),
  priority: Type.Optional(
    Type.Integer({ minimum: 0, maximum: 1000, description: '0, the default, is first.' }),
  ),
  verify: Type.Optional(VerifyBackup),
  tags: Type.Optional(Tags),
  max_bytes_per_second: Type.Optional(
    Type.Integer({ ...MaxBytesPerSecond, description: 'Bandwidth limit of each disk, in bytes per second.' }),
  ),
  deadline_seconds: Type.Optional(DeadlineSeconds),
});
export type BackupCreate = Static<typeof BackupCreate>;

export const BackupAccepted = closed({
  restore_point_id: Type.String(),
  vm_context_id: Type.String(),
  status: Type.String(),
  disk_results: Type.Array(
    closed({
      disk_id: DiskId,
      backup_id: Type.String(),
      status: JobStatus,
      backup_type: Type.Optional(
        Type.String({ description: 'What it will become, as far as can be told now.' }),
      ),
      demoted_reason: Type.Optional(nullable(Type.String())),
      awaits_extents: Type.Optional(Type.Boolean({ description: 'The change list is still to be sent.' })),
      nbd_export: Type.Optional(
        Type.Null({
          description:
            'A push source: no worker has opened the export yet. GET /backups/{backup_id} tells it.',
        }),
      ),
    }),
  ),
  warnings: Type.Optional(SourceWarnings),
});
export type BackupAccepted = Static<typeof BackupAccepted>;

export const ExtentsAccepted = closed({
  backup_id: Type.String(),
  status: JobStatus,
  ranges: Type.Integer({ minimum: 0, description: 'Ranges of the list after sorting and joining.' }),
  changed_bytes: Bytes('What they cover, in whole blocks of 64 KiB'),
});
export type ExtentsAccepted = Static<typeof ExtentsAccepted>;

/** A change list as text: `offset length`, a line each; the last line may be `end COUNT`. Or as a JSON array. */
export const ExtentLines = Type.String({
  description:
    'Lines of `offset length`, in bytes. The last line SHOULD be `end COUNT`; an empty list must have it.',
});
export const ExtentArray = Type.Array(Extent);

export const Backup = closed({
  id: Type.String(),
  restore_point_id: Type.String(),
  chain_id: Type.String(),
  vm_context_id: Type.String(),
  vm_name: Type.String(),
  disk_id: DiskId,
  repository_id: Type.String(),
  requested_type: RequestedType,
  backup_type: nullable(BackupType),
  demoted_reason: nullable(Type.String()),
  status: JobStatus,
  health: Health,
  tracker: nullable(
    oneOf(
      ['extents', 'bitmap'],
      'Who told what it holds; null where the whole disk was read, or before it has run.',
    ),
  ),
  doubted_at: nullable(Time('When the tracker on which it relies was caught lying: it may lack changes')),
  parent_backup_id: nullable(Type.String()),
  change_id: nullable(Type.String()),
  since_change_id: nullable(Type.String()),
  repository_path: nullable(Type.String({ description: "Relative to the repository's root." })),
  virtual_size: nullable(Bytes('Size of the disk')),
  size_bytes: nullable(Bytes('What the file takes on the file system')),
  bytes_transferred: nullable(Bytes('Payload written')),
  content_id: nullable(Type.String()),
  protected_until: nullable(Time('Not to be removed before')),
  awaits_extents_until: nullable(Time('Its change list is still to come, and must come before')),
  verify: nullable(VerifyBackup),
  tags: nullable(Type.Record(Type.String(), Type.String())),
  priority: Type.Integer(),
  max_bytes_per_second: nullable(MaxBytesPerSecond),
  deadline_seconds: nullable(DeadlineSeconds),
  attempts: Type.Integer(),
  cancel_requested: Type.Boolean(),
  progress: nullable(Progress),
  /** Only of a push backup, and only where one backup is read; null while no agent may write, and for viewers. */
  nbd_export: Type.Optional(nullable(NbdExport)),
  error: nullable(JobError),
  waiting_for: Type.Optional(nullable(WaitingFor)),
  ...JobTimes,
});
export type Backup = Static<typeof Backup>;

export const BackupPage = pageOf(Backup);
export type BackupPage = Static<typeof BackupPage>;

export const BackupParams = closed({ backup_id: Id('bkp', 'backup') });
export const BackupReadQuery = closed({
  wait_seconds: Type.Optional(
    Type.Integer({
      minimum: 0,
      maximum: 30,
      description: 'Of a push backup: answers when its export is open, at the latest after so long.',
    }),
  ),
});
export const BackupQuery = closed({
  ...PageQuery,
  vm_name: Type.Optional(VmName),
  vm_context_id: Type.Optional(VmContextId),
  repository_id: Type.Optional(RepositoryRef),
  disk_id: Type.Optional(DiskId),
  status: Type.Optional(JobStatus),
  backup_type: Type.Optional(BackupType),
});
export type BackupQuery = Static<typeof BackupQuery>;

export const Protection = closed({
  protected_until: nullable(
    Type.String({ format: 'date-time', description: 'Not to be removed before; null: no longer protected.' }),
  ),
});
export type Protection = Static<typeof Protection>;
