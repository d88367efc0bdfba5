import { type Static, Type } from 'typebox';
import { Backup } from './backups.js';
import { closed, Id, nullable, oneOf, PageQuery, pageOf, Time, VmContextId } from './common.js';

export const RestorePointStatus = oneOf([
  'pending',
  'running',
  'completed',
  'completed_with_warnings',
  'failed',
  'cancelled',
  'expired',
]);
export type RestorePointStatus = Static<typeof RestorePointStatus>;

const properties = {
  id: Type.String(),
  vm_context_id: Type.String(),
  vm_name: Type.String(),
  repository_id: Type.String(),
  type: Type.String({ description: 'The backup_type that was asked for.' }),
  status: RestorePointStatus,
  consistency: Type.String(),
  missing_disks: Type.Integer({ minimum: 0, description: 'Disks of the VM that the request left out.' }),
  notes: Type.Array(
    closed({
      disk_id: Type.Integer(),
      code: Type.String({ description: 'One of docs/operations.md; stable, for scripts.' }),
    }),
    { description: 'What there is to say of its disks: added, left out, grown, a lying tracker, ...' },
  ),
  created_at: Time('The instant of the data'),
  completed_at: nullable(Time('When all disks had ended')),
};

export const RestorePoint = closed(properties);
export type RestorePoint = Static<typeof RestorePoint>;

export const RestorePointWithBackups = closed({ ...properties, backups: Type.Array(Backup) });
export type RestorePointWithBackups = Static<typeof RestorePointWithBackups>;

export const RestorePointPage = pageOf(RestorePoint);
export type RestorePointPage = Static<typeof RestorePointPage>;

export const RestorePointParams = closed({ id: Id('rp', 'restore point') });
export const RestorePointQuery = closed({ ...PageQuery, vm_context_id: Type.Optional(VmContextId) });
export type RestorePointQuery = Static<typeof RestorePointQuery>;
