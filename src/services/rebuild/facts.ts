import type { ExistingDisk } from '../../db/chain/existing.js';
import type { Manifest } from '../repository/manifest.js';

/** A backup as its files tell it. */
export interface FoundBackup {
  manifest: Manifest;
  /** The manifest and the image, relative to the root. */
  file: string;
  path: string;
  /** Length of the image, in bytes. */
  imageLength: number;
  /** A merge that was cut has left its manifest with two answers; the image has decided which of them is read here. */
  halfSwitched: boolean;
  /** There is no manifest: what it said follows from the header, the digest index and the neighbours. */
  isReconstructed?: true;
}

/** A manifest of this disk that lies beside another image than its own. */
export interface StrayManifest {
  manifest: Manifest;
  /** Relative to the root. */
  file: string;
}

export interface FoundDisk {
  vmContextId: string;
  diskId: number;
  /** Relative to the root. */
  directory: string;
  backups: FoundBackup[];
  strays: StrayManifest[];
  /** The highest fence in a name or a manifest of the directory; 0 where there is none. */
  highestFence: number;
  problems: Problem[];
}

/** What stands in the way of a backup, or, as a warning, what does not. */
export interface Problem {
  /** Relative to the root. */
  file: string;
  backup_id: string | null;
  severity: 'refused' | 'warning';
  reason: ProblemCode;
}

/** Every reason, with what it means. Codes are never renamed: scripts match on them. */
export const PROBLEMS = {
  // The files
  manifest_invalid: 'The manifest is malformed, or does not match its checksum.',
  manifest_foreign: 'The manifest belongs to another repository.',
  manifest_misplaced: 'The manifest speaks of another VM, disk or file than those beside it.',
  manifest_refused: 'The manifest has a value that no backup can have.',
  image_without_manifest:
    'The image has no manifest, and header, digest index and neighbours do not tell enough: it is not taken in. `strata repo reconcile` says what becomes of it.',
  manifest_elsewhere:
    'Its manifest lies beside another image; its own length and header say that it is the right one.',
  manifest_rebuilt:
    'Its manifest is lost or unusable: it is taken in by its header, its digest index and its neighbours, and is `suspect` until it is validated.',
  image_missing: 'The image is gone.',
  image_not_a_file: 'The image is not a regular file.',
  image_truncated: 'The image is shorter than it was written; the backup is marked `damaged`.',
  image_grown: 'The image is longer than it was written; the backup is marked `suspect`.',
  digests_missing: 'The digest index is gone: the content cannot be proved.',
  digests_invalid: 'The digest index is malformed or belongs to another backup.',
  hold_invalid: 'The record of a protection is malformed: protect the backup again.',
  immutability_invalid: 'The record of `immutable_days` is malformed: set them again.',
  // The chain
  parent_missing: 'Its parent is not among the backups that could be taken in.',
  parent_file_differs: 'The manifest names another file of its parent than that which is there.',
  chain_differs: 'It belongs to another chain than the other backups of the disk.',
  fork: 'Another increment stands on the same parent.',
  // The catalogue, whose rows are left as they are
  vm_taken: 'The catalogue has another VM of this name, or this VM in another repository.',
  chain_taken: 'The catalogue has a chain of another disk with this id.',
  chain_busy: 'The chain has open jobs; try again when they have ended.',
  id_taken: 'The catalogue has another backup, or one in another state, with this id.',
  seq_taken: 'The catalogue has another backup in its place of the chain.',
  path_taken: 'The catalogue has another backup with this file.',
  point_taken: 'The catalogue has a restore point of another VM with this id.',
} as const;

export type ProblemCode = keyof typeof PROBLEMS;

export type { ExistingDisk, ExistingRow } from '../../db/chain/existing.js';

/** Nothing of the disk is known. */
export const NOTHING_EXISTS: ExistingDisk = {
  chainId: undefined,
  vmTaken: false,
  chainTaken: false,
  busy: false,
  rows: [],
  points: new Map(),
};
