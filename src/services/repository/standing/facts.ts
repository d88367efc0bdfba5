/** What the header of an image says that the image stands on. */
export type Below =
  | { state: 'nothing' }
  /** A file that is there: its real path, whatever links the name in the header leads through. */
  | { state: 'file'; realPath: string }
  /** A file that is certainly not there, relative to the root. */
  | { state: 'missing'; path: string }
  /** A name of another protocol, such as NBD. */
  | { state: 'elsewhere' }
  /** The header cannot be read now, or names its backing file in words that only QEMU understands. */
  | { state: 'unknown'; reason: string }
  /** The file has the name of a backup and no header any more: nobody knows on what it stood. */
  | { state: 'lost' };

/** One name of a regular file in a repository that is no sidecar, or of a link to one: an image, or what one may stand on. */
export interface ImageOnDisk {
  /** Relative to the root. */
  path: string;
  /** The path that other images call it by: its own, or, of a file in quarantine, that which it was moved from. */
  origin: string;
  /** Absolute, free of symbolic links. */
  realPath: string;
  /** Device and inode: equal for two names of one file, but not for a symbolic link, which has its own. */
  file: string;
  /** True for a symbolic link to the file; absent for the file itself. */
  isLink?: boolean;
  /** Its first bytes are those of a QCOW2 image. */
  qcow2: boolean;
  /** One entry; of an image in quarantine another for what it names beside itself there. */
  below: readonly Below[];
}

/** True for a file that was set aside. */
export function isQuarantined({ path, origin }: Pick<ImageOnDisk, 'path' | 'origin'>): boolean {
  return path !== origin;
}
