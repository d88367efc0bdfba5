import { type JobStatus } from '../../shared/jobs.js';
import type { Damage, Layer, Reach } from '../chain/index.js';
import type { CheckFact } from '../repository/checkFile.js';
import type { Manifest, SidecarFact } from '../repository/manifest.js';

/** The image as a file. `unreadable`: something is there, but it could not be looked at; that proves nothing. */
export type FileFact =
  | {
      state: 'present';
      length: number;
      mtimeMs: number;
      /** When content, length, name or mode last changed: nobody can set it back, as mtime can be. */
      ctimeMs: number;
      /** As `header_sha256` of the manifest. */
      header: string;
    }
  | { state: 'missing' }
  | { state: 'unreadable'; reason: string };

/** The image's header, as qemu-img tells it. */
export type HeaderFact =
  | {
      state: 'read';
      virtualSize: number;
      backingName: string | undefined;
      backingFormat: string | undefined;
      /** The corrupt bit: QEMU itself has seen broken metadata. */
      corrupt: boolean;
    }
  | { state: 'unknown'; reason: string };

/** `skipped`: an index of the lineage cannot be used, which is a finding of its own. */
export type ContentFact =
  | { state: 'computed'; id: string }
  | { state: 'impossible'; reason: string }
  | { state: 'skipped' };

/** What a deep validation has done with the file. `unproved`: without an index, and not with the recorded content. */
export type ReadFact =
  | { state: 'read' }
  | { state: 'rebuilt' }
  | { state: 'unproved' }
  | { state: 'skipped'; reason: string }
  /** It was read not long ago; it has its turn later. */
  | { state: 'fresh' }
  | { state: 'not_yet' };

/** What deep validations, this one or those before, know of the content. */
export interface ProofFact {
  /** When the file had last been read to its end. */
  provedAt: Date | null;
  /** What is wrong with the file itself. */
  damage: Damage;
  /** What of the restore point is. */
  reach: Reach;
  /** That a restore once read other content has been explained or disproved. */
  settled: boolean;
}

export interface BackupFacts {
  row: Layer;
  file: FileFact;
  header: HeaderFact;
  check: CheckFact;
  manifest: SidecarFact<Manifest>;
  /** Change time of the manifest's file, which gets its name right before the image; null where it cannot be had. */
  manifestCtimeMs: number | null;
  digests: SidecarFact<{ backupId: string; virtualSize: number }>;
  content: ContentFact;
  proof: ProofFact;
  /** Undefined in a quick check. */
  read?: ReadFact;
}

/** All that a quick check looks at. Gathered without a verdict; judged without a look at the disk. */
export interface ChainFacts {
  /** Fence of the lease under which the check runs: files of smaller fences are nobody's any more. */
  fence: number;
  /** Absolute path of the repository. */
  root: string;
  /** The disk's directory, relative to the root. */
  directory: string;
  /** Names in the directory; undefined when there is certainly no such directory. */
  names: readonly string[] | undefined;
  /** Completed backups, and the expired ones that they stand on; oldest first. */
  backups: readonly BackupFacts[];
  /** Rows of the chain that are not completed but name a file. */
  otherRows: readonly { id: string; status: JobStatus; path: string }[];
}
