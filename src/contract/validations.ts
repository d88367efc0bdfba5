import { type Static, Type } from 'typebox';
import { ValidationLevel } from './chains.js';
import { closed, DiskId, JobStatus, nullable, oneOf } from './common.js';

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

const Due = closed({
  overdue_chains: Type.Integer({
    description: 'Chains that were not validated for longer than the cadence says.',
  }),
  oldest_seconds: Type.Number({ description: 'For how long the one was not that waits longest.' }),
});

/** How a repository's chains are, and whether its cadence keeps its word. */
export const RepositoryValidation = closed(
  {
    repository_id: Type.String(),
    chains: closed(
      { ok: Type.Integer(), suspect: Type.Integer(), damaged: Type.Integer() },
      'Those with backups, by health.',
    ),
    backups: closed({ suspect: Type.Integer(), damaged: Type.Integer() }, 'Those that are not ok.'),
    quick: nullable(Due),
    deep: nullable(Due),
  },
  'Null: the level is switched off.',
);
export type RepositoryValidation = Static<typeof RepositoryValidation>;

/** Answer to the validation of a VM or a repository. */
export const ValidationsAccepted = closed({
  level: ValidationLevel,
  jobs: Type.Array(AcceptedValidation, { description: 'One a chain, those of retired disks included.' }),
  skipped: Type.Array(SkippedValidation),
});
export type ValidationsAccepted = Static<typeof ValidationsAccepted>;
