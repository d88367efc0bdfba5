import { type Static, Type } from 'typebox';
import { Bytes, closed, DiskId, JobStatus, nullable, oneOf } from './common.js';

const DryRun = Type.Optional(
  Type.Boolean({ default: false, description: 'Say what would be done, and do nothing.' }),
);
const File = Type.String({ description: "Relative to the repository's root." });
const Count = Type.Integer({ minimum: 0 });
const ACTIONS = [
  'quarantine',
  'bring_back',
  'write_manifest',
  'mark_damaged',
  'mark_suspect',
  'finish',
  'adopt',
  'leave',
] as const;

export const RepositoryReconcile = closed({ dry_run: DryRun });
export type RepositoryReconcile = Static<typeof RepositoryReconcile>;

/** One difference between catalogue and files. */
export const ReconcileAction = closed({
  action: oneOf([...ACTIONS], '`finish`, `adopt` and `leave` only tell; the others are done by a job.'),
  reason: Type.String({ description: 'Stable, for scripts (docs/operations.md).' }),
  message: Type.String({ description: 'The reason in one sentence.' }),
  chain_id: nullable(Type.String()),
  backup_id: nullable(Type.String()),
  file: File,
});
export type ReconcileAction = Static<typeof ReconcileAction>;

export const ReconcileReport = closed({
  repository_id: Type.String(),
  dry_run: Type.Boolean(),
  scanned: closed({ directories: Count, files: Count }),
  counts: closed(
    {
      quarantine: Count,
      bring_back: Count,
      write_manifest: Count,
      mark_damaged: Count,
      mark_suspect: Count,
      finish: Count,
      adopt: Count,
      leave: Count,
    },
    'All actions, also those that are not listed.',
  ),
  restorable: closed(
    { files: Count, bytes: Bytes('What they take') },
    'Images that `qemu-img` restores and the catalogue does not know, with their sidecars: no age removes them.',
  ),
  actions: Type.Array(ReconcileAction, { description: 'At most 1000.' }),
  jobs: Type.Array(closed({ chain_id: Type.String(), job_id: Type.String(), status: JobStatus }), {
    description: 'One for each chain with something to change; at most 500, the next call makes more.',
  }),
});
export type ReconcileReport = Static<typeof ReconcileReport>;

export const RepositoryRebuild = closed({ dry_run: DryRun });
export type RepositoryRebuild = Static<typeof RepositoryRebuild>;

export const RebuildProblem = closed({
  severity: oneOf(['refused', 'warning'], 'A refused backup gets no row.'),
  reason: Type.String({ description: 'Stable, for scripts (docs/operations.md).' }),
  message: Type.String({ description: 'The reason in one sentence.' }),
  backup_id: nullable(Type.String()),
  file: File,
});
export type RebuildProblem = Static<typeof RebuildProblem>;

export const RebuiltChain = closed({
  chain_id: Type.String(),
  vm_context_id: Type.String(),
  vm_name: Type.String(),
  disk_id: DiskId,
  inserted: Count,
  existing: Count,
  refused: Count,
});
export type RebuiltChain = Static<typeof RebuiltChain>;

/** `result` of a job of type `rebuild`. */
export const RebuildReport = closed({
  repository_id: Type.String(),
  dry_run: Type.Boolean(),
  inserted: Type.Integer({
    minimum: 0,
    description: 'Backups that got a row by this job, or, as a dry run, would.',
  }),
  existing: Type.Integer({
    minimum: 0,
    description: 'Backups whose row was there before, and is left as it is.',
  }),
  refused: Type.Integer({ minimum: 0, description: 'Backups that got none.' }),
  chains: Type.Array(RebuiltChain, { description: 'At most 1000.' }),
  problems: Type.Array(RebuildProblem, { description: 'At most 1000.' }),
});
export type RebuildReport = Static<typeof RebuildReport>;
