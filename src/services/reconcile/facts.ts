import { type JobStatus } from '../../shared/jobs.js';
import type { Layer } from '../chain/index.js';
import type { Manifest } from '../repository/manifest.js';
import type { ImageOnDisk } from '../repository/standing/index.js';

/** What is wrong with the manifest of a backup that the catalogue has; `of_unknown`: it is that of an image that the catalogue lacks. */
export type ManifestState = 'sound' | 'missing' | 'invalid' | 'foreign' | 'older' | 'of_unknown';

/** A completed backup of the catalogue. */
export interface BackupFact
  extends Pick<Layer, 'id' | 'parentId' | 'health' | 'damageLocated' | 'path' | 'expired'> {
  /** `missing`: there is certainly nothing of that name (ENOENT). */
  image: 'present' | 'missing';
  /** Absent where it was not looked at. */
  manifest?: ManifestState;
  /** False where its header names another backing file than that of the recorded parent: the catalogue may be older. */
  standsAsRecorded?: boolean;
}

export type ManifestFact =
  | { state: 'none' }
  | { state: 'invalid' }
  | {
      state: 'valid';
      manifest: Manifest;
      /** Whether the manifest speaks of this repository, VM, disk and of the file beside it. */
      belongs: boolean;
      /** It speaks of this disk and of another image, which has none that does: the rebuild reads it. */
      speaksOfOther?: boolean;
      /** The content that the catalogue has under that id is another. */
      differs?: boolean;
      /** The journal says that the job, which has ended since, has published this file. */
      journalled?: boolean;
      /** What the catalogue says of the backup that it names. */
      row: JobStatus | 'unknown';
    };

/** A name that no completed backup has. */
export interface UnknownFile {
  name: string;
  regular: boolean;
  /** Bytes that it takes on the file system. */
  bytes: number;
  mtimeMs: number;
  /** Of a `*.json` only. */
  manifest: ManifestFact;
}

export interface ChainFact {
  id: string;
  /** Somebody else's lease is live. */
  busy: boolean;
  /** Partial files of smaller fences are nobody's any more. */
  fence: number;
}

/** One disk's directory and what the catalogue says of it. Gathered without a verdict, judged without a look at the disk. */
export interface DirectoryFacts {
  /** Relative to the root. */
  directory: string;
  /** False when there is certainly no such directory. */
  exists: boolean;
  /** Undefined: the catalogue knows no chain of this directory. */
  chain: ChainFact | undefined;
  /** Completed backups, and the expired ones that they stand on; oldest first. */
  backups: readonly BackupFact[];
  unknown: readonly UnknownFile[];
  /** Names that the journals of open jobs say are about to be published. */
  openNames: readonly string[];
  /** The directory's images, known and unknown, with what each stands on by its header; of other directories those that may stand on one of them. */
  images: readonly ImageOnDisk[];
  /** Images in quarantine that came from the directory. */
  quarantined: readonly QuarantinedImage[];
}

export interface QuarantinedImage extends ImageOnDisk {
  /** Of the note beside it. */
  reason: string | undefined;
}

/** When a plan is made, and how old an unknown file must be, both in milliseconds. */
export interface PlanClock {
  nowMs: number;
  graceMs: number;
}

/** What an action on a file or a backup is, and why; printable as it is. */
export interface Action {
  action:
    | 'quarantine'
    | 'bring_back'
    | 'write_manifest'
    | 'mark_damaged'
    | 'mark_suspect'
    | 'finish'
    | 'adopt'
    | 'leave';
  reason: ReasonCode;
  chain_id: string | null;
  backup_id: string | null;
  /** Relative to the root. */
  file: string;
}

/** Every reason of an action, with what it means. Codes are never renamed: scripts match on them. */
export const REASONS = {
  // quarantine
  unknown_file: 'No backup of the catalogue has this file.',
  manifest_invalid: 'Its manifest is malformed or does not match its checksum.',
  manifest_foreign: 'Its manifest belongs to another repository, VM, disk or file.',
  manifest_without_image:
    'Its manifest names a backup that the catalogue does not know and that has no image.',
  copy_of_known: 'Its manifest names a backup that has its files under another name.',
  id_of_known: 'Its manifest has the id of a backup that has other content, under another name.',
  of_ended_job: 'The job that published it ended without a commit.',
  expired_leftover: 'Its manifest says that it has expired, and nothing stands on it.',
  dead_partial: 'An attempt that lost its lease left it half-written.',
  // bring_back
  stands_in_quarantine: 'An image that stays stands on it: it gets its place back from the quarantine.',
  restorable_in_quarantine:
    'qemu-img restores it, and nobody has given it up: it gets its place back from the quarantine.',
  // write_manifest
  manifest_lost: 'The manifest of a catalogued backup is gone.',
  manifest_unusable: 'The manifest of a catalogued backup is malformed or does not match its checksum.',
  manifest_of_another: 'In the place of its manifest lies that of another backup.',
  manifest_older:
    'The manifest says something else than the catalogue and the image: it is that of an earlier time.',
  // mark_damaged, mark_suspect
  image_missing: 'The image of a completed backup is gone.',
  directory_missing: 'The directory of the disk is gone.',
  stands_on_missing: 'It stands on a backup whose image is gone.',
  // finish, adopt
  of_open_job: 'The next attempt of its job finishes or removes it.',
  unknown_backup: 'A whole backup that the catalogue does not know: `strata repo rebuild` takes it in.',
  // leave
  young: 'It is younger than the grace period.',
  live_partial: 'Its writer may be alive.',
  chain_busy: 'A job works on the chain.',
  no_chain: 'The catalogue knows no chain of this directory: `strata repo rebuild` may take it in.',
  not_a_regular_file: 'It is a directory, a link or a special file.',
  only_copy: 'Its manifest names a completed backup whose own file is gone.',
  needed: 'An image that stays stands on it, by its own header or its manifest.',
  restorable:
    'qemu-img restores it, and the catalogue does not know it: it stays, whatever its age. `strata repo rebuild` says whether it can be taken in.',
  header_unreadable: 'It is not known what an image of this directory stands on: no image is moved.',
  manifest_of_other: 'It is the manifest of another image here: `strata repo rebuild` reads it.',
  several_in_quarantine:
    'An image that stays stands on it, and the quarantine has more than one of that name: put the right one back.',
  expired: 'Its backup has expired and is removed by its own job.',
} as const;

export type ReasonCode = keyof typeof REASONS;
