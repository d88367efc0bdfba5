import { type Static, Type } from 'typebox';
import {
  closed,
  DeadlineSeconds,
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
  WaitingFor,
} from './common.js';

export const RestoreFormat = oneOf(['raw', 'qcow2', 'vmdk', 'vhdx', 'vdi']);
export type RestoreFormat = Static<typeof RestoreFormat>;

export const RestoreTarget = closed({
  type: oneOf(['file']),
  path: Type.String({
    minLength: 1,
    maxLength: 4096,
    description:
      'Absolute, under one of STRATA_RESTORE_ROOTS, and in no repository: a file that does not exist yet, or a block device that nobody uses.',
  }),
});

export const RestoreCreate = closed({
  backup_id: Id('bkp', 'backup'),
  target: RestoreTarget,
  format: RestoreFormat,
  verify: Type.Optional(
    Type.Boolean({ default: true, description: 'Read the target back and compare content ids.' }),
  ),
  allow_damaged: Type.Optional(
    Type.Boolean({
      default: false,
      description:
        'Restore a damaged backup as far as it can be read. Needs verify; the result names the ranges that are wrong.',
    }),
  ),
  max_bytes_per_second: Type.Optional(MaxBytesPerSecond),
  deadline_seconds: Type.Optional(DeadlineSeconds),
});
export type RestoreCreate = Static<typeof RestoreCreate>;

export const RestoreAccepted = closed({ restore_id: Type.String(), status: JobStatus });
export type RestoreAccepted = Static<typeof RestoreAccepted>;

export const Restore = closed({
  id: Type.String(),
  backup_id: Type.String(),
  chain_id: Type.String(),
  repository_id: Type.String(),
  target: RestoreTarget,
  format: RestoreFormat,
  verify: Type.Boolean(),
  allow_damaged: Type.Boolean(),
  status: JobStatus,
  max_bytes_per_second: nullable(MaxBytesPerSecond),
  deadline_seconds: nullable(DeadlineSeconds),
  attempts: Type.Integer(),
  cancel_requested: Type.Boolean(),
  progress: nullable(Progress),
  error: nullable(JobError),
  /** Where it is listed or read as itself, until it has ended; null while it runs. */
  waiting_for: Type.Optional(nullable(WaitingFor)),
  result: nullable(Type.Record(Type.String(), Type.Unknown())),
  ...JobTimes,
});
export type Restore = Static<typeof Restore>;

export const RestorePage = pageOf(Restore);
export type RestorePage = Static<typeof RestorePage>;

export const RestoreParams = closed({ id: Id('rst', 'restore') });
export const RestoreQuery = closed({
  ...PageQuery,
  backup_id: Type.Optional(Id('bkp', 'backup')),
  status: Type.Optional(JobStatus),
});
export type RestoreQuery = Static<typeof RestoreQuery>;
