import { type Static, Type } from 'typebox';
import { ValidationLevel } from './chains.js';
import { closed, DiskId, JobStatus, oneOf } from './common.js';

/** A chain, by what people call it. */
const place = {
  chain_id: Type.String(),
  vm_context_id: Type.String(),
  vm_name: Type.String(),
  disk_id: DiskId,
};

export const AcceptedValidation = closed({
  ...place,
  job_id: Type.String(),
  status: JobStatus,
  added: Type.Boolean({ description: 'False: the chain had such a validation open already.' }),
});
export type AcceptedValidation = Static<typeof AcceptedValidation>;

export const SkippedValidation = closed({
  ...place,
  reason: oneOf(['no_backups'], 'no_backups: the chain has no restore point.'),
});
export type SkippedValidation = Static<typeof SkippedValidation>;

/** Answer to the validation of a VM or a repository. */
export const ValidationsAccepted = closed({
  level: ValidationLevel,
  jobs: Type.Array(AcceptedValidation, { description: 'One a chain, those of retired disks included.' }),
  skipped: Type.Array(SkippedValidation),
});
export type ValidationsAccepted = Static<typeof ValidationsAccepted>;
