import { isAbsolute, join, relative } from 'node:path';
import type { BackupType } from '../../entities/index.js';
import { slug } from '../../shared/names.js';

const TYPE_WORDS: Record<BackupType, string> = { full: 'full', incremental: 'incr', differential: 'diff' };

/** `.<final name>.<fence>.partial`: nobody but the holder of that fence writes to it. */
const PARTIAL = /^\..+\.(\d+)\.partial$/;
const FINAL = /^backup-.+-(\d+)-(\d+)-(full|incr|diff)\.(qcow2|digests|json)$/;

/** The three files of a backup, relative to the repository's root. */
export interface BackupFiles {
  directory: string;
  image: string;
  digests: string;
  manifest: string;
}

/** Directory of a disk's backups, relative to the repository's root. */
export function diskDirectory(vmContextId: string, diskId: number): string {
  return join(vmContextId, `disk-${diskId}`);
}

/** `<vm_context_id>/disk-<n>/backup-<vm>-<n>-<unix seconds>-full|incr|diff.qcow2` and its sidecars. */
export function backupFiles(options: {
  vmContextId: string;
  vmName: string;
  diskId: number;
  seconds: number;
  type: BackupType;
}): BackupFiles {
  const directory = diskDirectory(options.vmContextId, options.diskId);
  const stem = `backup-${slug(options.vmName)}-${options.diskId}-${options.seconds}-${TYPE_WORDS[options.type]}`;
  return sidecarsOf(join(directory, `${stem}.qcow2`));
}

/** The sidecars stand beside the image and differ in the suffix only. */
export function sidecarsOf(image: string): BackupFiles {
  const stem = image.replace(/\.qcow2$/, '');
  return {
    directory: image.slice(0, image.lastIndexOf('/')),
    image,
    digests: `${stem}.digests`,
    manifest: `${stem}.json`,
  };
}

/** True for the name of a manifest or a digest index, of which nothing can stand on an image. */
export function isSidecar(name: string): boolean {
  return /\.(json|digests)$/.test(name);
}

/** Temporary names of the three files while the holder of `fence` writes them. */
export function partialFiles(files: BackupFiles, fence: number): BackupFiles {
  const partial = (path: string) =>
    join(files.directory, `.${path.slice(path.lastIndexOf('/') + 1)}.${fence}.partial`);
  return {
    directory: files.directory,
    image: partial(files.image),
    digests: partial(files.digests),
    manifest: partial(files.manifest),
  };
}

/** The fence in a temporary name, or undefined for any other name. */
export function fenceOfPartial(name: string): number | undefined {
  const match = PARTIAL.exec(name);
  return match ? Number(match[1]) : undefined;
}

/** The unix seconds in the name of a backup's file, or undefined for any other name. */
export function secondsOfName(name: string): number | undefined {
  const match = FINAL.exec(name);
  return match ? Number(match[2]) : undefined;
}

/**
 * Seconds for a new backup's name: those of its instant, or the next that is later than every name that is or was in the directory,
 * so that names sort as the chain does even where the clock stepped back (as long as the VM keeps its name).
 */
export function nextSeconds(instant: Date, names: readonly string[]): number {
  const taken = names.map(secondsOfName).filter((seconds) => seconds !== undefined);
  return Math.max(Math.floor(instant.getTime() / 1000), ...taken.map((seconds) => seconds + 1));
}

/**
 * Where a backing name leads, relative to the repository's root. Pure: names are compared, links are not followed.
 * @param image path of the image that has the name, relative to the root
 */
export function backingPath(root: string, image: string, name: string): string {
  return isAbsolute(name) ? relative(root, name) : join(image, '..', name);
}
