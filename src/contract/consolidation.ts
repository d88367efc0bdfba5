import { type Static, Type } from 'typebox';
import { Bytes, closed, DiskId, Id, JobStatus, nullable, oneOf } from './common.js';

/** One step of a plan; `null` and empty fields belong to the other action. */
export const ConsolidationStep = closed({
  action: oneOf(['remove', 'merge'], 'remove: a tip, with its files; merge: what it stands on goes into it.'),
  backup_id: Type.String({ description: 'The backup that is removed, or that takes in the others.' }),
  removes: Type.Array(Type.String(), { description: 'Backups that a merge removes, topmost first.' }),
  onto: nullable(Type.String({ description: 'What the merged file stands on; null for nothing.' })),
  reason: oneOf(['not_kept', 'expired', 'stands_on_removed']),
  bytes: Bytes(
    'Up to this comes free: of a merge all but its largest file, and more where parts of the disk have become zero',
  ),
});
export type ConsolidationStep = Static<typeof ConsolidationStep>;

/** A backup that stays although it is not to be kept. */
export const ConsolidationRefusal = closed({
  backup_id: Type.String(),
  reason: Type.String({ description: 'Stable, for scripts (docs/consolidation.md).' }),
  message: Type.String({ description: 'The reason in one sentence.' }),
});
export type ConsolidationRefusal = Static<typeof ConsolidationRefusal>;

export const ChainConsolidation = closed({
  chain_id: Type.String(),
  steps: Type.Array(ConsolidationStep),
  refused: Type.Array(ConsolidationRefusal),
  job: nullable(closed({ job_id: Type.String(), status: JobStatus }, 'Null where there is nothing to do.')),
});
export type ChainConsolidation = Static<typeof ChainConsolidation>;

export const Consolidation = closed({
  dry_run: Type.Boolean(),
  chains: Type.Array(ChainConsolidation, {
    description: 'The plan as of now, for each chain. Its job plans anew, under the lease.',
  }),
  latest_backup_id: nullable(
    Type.String({
      description:
        'The newest completed backup of what was asked for, removed or not. Send it back as `expected_latest`: the removal is refused where another has completed since.',
    }),
  ),
  retired_disks: Type.Optional(
    Type.Array(DiskId, {
      description: 'Only of a VM: disks that nothing backs up any more until the VM is registered again.',
    }),
  ),
});
export type Consolidation = Static<typeof Consolidation>;

const DryRun = Type.Optional(
  Type.Boolean({ default: false, description: 'Say what would be done, and do nothing.' }),
);

export const ChainConsolidate = closed({
  keep: Type.Optional(
    Type.Array(Id('bkp', 'backup'), {
      minItems: 1,
      maxItems: 10_000,
      uniqueItems: true,
      description: 'Of the backups that are completed now, the others go. Left out: all stay.',
    }),
  ),
  expected_latest: Type.Optional({
    ...Id('bkp', 'backup'),
    description:
      'The newest completed backup of the chain that the caller has seen: refused with `chain_moved` where it is another. Needed where the newest one is not among `keep`.',
  }),
  dry_run: DryRun,
});
export type ChainConsolidate = Static<typeof ChainConsolidate>;

/** Query of every removal. */
export const RemovalQuery = closed({ dry_run: DryRun });
export type RemovalQuery = Static<typeof RemovalQuery>;

/** Query of the removal of all backups of a VM or a repository. */
export const ContentRemovalQuery = closed({
  dry_run: DryRun,
  expected_latest: Type.Optional({
    ...Id('bkp', 'backup'),
    description:
      '`latest_backup_id` of a dry run before: refused with `chain_moved` where another backup has completed since.',
  }),
});
export type ContentRemovalQuery = Static<typeof ContentRemovalQuery>;

/** Nothing, or whether it is only to be planned. */
export const SyntheticFullBody = nullable(closed({ dry_run: DryRun }));
export type SyntheticFullBody = Static<typeof SyntheticFullBody>;

/** What a synthetic full would do. */
export const SyntheticFullPlan = closed({
  dry_run: Type.Literal(true),
  chain_id: Type.String(),
  backup_id: Type.String({ description: 'The latest backup, which becomes a full.' }),
  reads: Type.Array(Type.String(), {
    description:
      'The backups that it stands on, topmost first; they stay as they are. Empty: it is a full already.',
  }),
  bytes: Bytes('The new file takes up to this'),
});
export type SyntheticFullPlan = Static<typeof SyntheticFullPlan>;
