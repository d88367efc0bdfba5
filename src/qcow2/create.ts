import { existsSync } from 'node:fs';
import { StrataError } from '../shared/errors.js';
import { checkFormat, type ImageFormat } from './imageRef.js';
import { checkAbsolutePath, checkBackingName } from './paths.js';
import { runTool } from './runTool.js';
import { DEADLINES, type ToolOptions } from './toolOptions.js';
import { type OnProgress, progressOf } from './progress.js';

/** A backing file: a plain file name in the image's own directory, and its format. */
export interface BackingRef {
  name: string;
  format: ImageFormat;
}

export interface CreateImage {
  /** Bytes of the guest disk; a multiple of 512. */
  virtualSizeBytes: number;
  /** `qcow2` by default; only that can have a backing file here. */
  format?: ImageFormat;
  backing?: BackingRef;
}

/**
 * How every QCOW2 file of a repository is made: clusters of 64 KiB as the digest index counts blocks, and reference
 * counts kept right at every instant, so that a killed writer leaves leaks at most.
 */
export const QCOW2_OPTIONS = 'cluster_size=65536,compat=1.1,lazy_refcounts=off';

/**
 * Options with which an image of a format is made. A VHD without its own is as long as whole cylinders, so up to 8 MiB
 * longer than what is copied into it (block/vpc.c, calculate_geometry).
 */
export const CREATION_OPTIONS: Readonly<Partial<Record<ImageFormat, string>>> = {
  qcow2: QCOW2_OPTIONS,
  vpc: 'force_size=on',
};

/**
 * Creates an empty image, or an overlay. QEMU opens the backing file to check that it exists and has its format.
 * @param path absolute; must not exist
 * @throws file_exists, size_not_aligned, invalid_name (backing name), file_missing (backing file), no_space
 */
export async function createImage(
  path: string,
  { virtualSizeBytes, format = 'qcow2', backing }: CreateImage,
  options: ToolOptions = {},
): Promise<void> {
  refuseExisting(path);
  const own = CREATION_OPTIONS[format];
  const creation = own === undefined ? [] : ['-o', own];
  const args = ['create', '-q', '-f', checkFormat(format), ...creation, ...backingArgs(backing)];
  await runTool(
    {
      tool: 'qemu-img',
      args: [...args, checkAbsolutePath(path), String(checkVirtualSize(virtualSizeBytes))],
      deadlineMs: DEADLINES.metadata,
    },
    options,
  );
}

/** `-b name -F format`, or nothing. @throws invalid_name, unknown_format */
export function backingArgs(backing: BackingRef | undefined): string[] {
  return backing ? ['-b', checkBackingName(backing.name), '-F', checkFormat(backing.format)] : [];
}

/** qemu-img truncates what it finds; nothing that a chain may depend on is ever written over. @throws file_exists */
export function refuseExisting(path: string): void {
  if (existsSync(path)) {
    throw new StrataError('file_exists', 'The image to be created exists already.', { details: { path } });
  }
}

/** @throws size_not_aligned for anything but a positive multiple of 512 below 2^53 */
export function checkVirtualSize(bytes: number): number {
  if (!Number.isSafeInteger(bytes) || bytes <= 0 || bytes % 512 !== 0) {
    throw new StrataError(
      'size_not_aligned',
      `A disk of ${bytes} bytes is not a positive multiple of 512 bytes.`,
    );
  }
  return bytes;
}

/**
 * Grows an image by `qemu-img resize`; the new end reads as zero.
 * @param path absolute
 * @param virtualSizeBytes the new size; a multiple of 512
 * @throws invalid_request if the image would shrink, which loses data
 */
export async function resizeImage(
  path: string,
  format: ImageFormat,
  virtualSizeBytes: number,
  options: ToolOptions = {},
): Promise<void> {
  const size = String(checkVirtualSize(virtualSizeBytes));
  await runTool(
    {
      tool: 'qemu-img',
      args: ['resize', '-q', '-f', checkFormat(format), checkAbsolutePath(path), size],
      deadlineMs: DEADLINES.metadata,
    },
    options,
  );
}

export interface RebaseImage {
  /** The new backing file; none makes the image stand alone. */
  backing?: BackingRef;
  /** Changes only the name in the header and copies nothing: right only if both backing files read the same. */
  unsafe?: boolean;
  onProgress?: OnProgress;
}

/**
 * Puts a QCOW2 file on another backing file by `qemu-img rebase`; unless `unsafe`, what the guest reads stays the same,
 * and what the two backing files read differently is copied into the image.
 * @param path absolute; changed in place
 */
export async function rebaseImage(
  path: string,
  { backing, unsafe, onProgress }: RebaseImage = {},
  options: ToolOptions = {},
): Promise<void> {
  const progress = progressOf(onProgress);
  const args = ['rebase', ...progress.args, '-f', 'qcow2'];
  if (unsafe === true) args.push('-u');
  args.push(...(backing ? backingArgs(backing) : ['-b', '']), checkAbsolutePath(path));
  await runTool({ tool: 'qemu-img', args, deadlineMs: DEADLINES.wholeImage, ...progress.call }, options);
}
