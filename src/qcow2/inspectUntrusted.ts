import { StrataError, isStrataError } from '../shared/errors.js';
import type { ErrorCode } from '../shared/errorCodes.js';
import { declaredName, heldPath } from './foreignImage.js';
import { refuseReferences } from './imageHead.js';
import type { ImageInfo } from './imageInfo.js';
import { checkFormat, type ImageFormat, type ImageRef } from './imageRef.js';
import { imageInfo } from './info.js';
import { UNTRUSTED_LIMITS } from './limits.js';
import { checkAbsolutePath } from './paths.js';
import { findsFaultWithImage } from './toolFailure.js';
import { compareExtents } from './vmdkExtents.js';

/** How long an image from outside may keep us; the CPU limit alone does not bound a tool that waits. */
const DEADLINE_MS = 60_000;

/**
 * What a failure of qemu-img says about an image that is not ours, or undefined where it says nothing about it and may
 * pass: a disk or host in trouble. A tool that waits for a minute is such, for the CPU limit stops one that computes.
 * Pure.
 */
export function verdictOn(error: StrataError): ErrorCode | undefined {
  const refused = isStrataError(error, 'tool_output_invalid', 'file_missing') || findsFaultWithImage(error);
  return refused ? 'source_missing' : undefined;
}

type FileRef = Extract<ImageRef, { type: 'file' }>;

/** How the image is read, see ImageRef; and a signal that ends it. */
export type InspectOptions = Pick<FileRef, 'foreign' | 'direct' | 'forceShare'> & { signal?: AbortSignal };

/**
 * Describes an image from outside under resource limits, in the stated format, and refuses one that refers to other
 * files: a backing file, a QCOW2 data file, a VMDK parent or an extent beyond its own directory. The other extents of a
 * VMDK are in `extents`: the caller checks where they really are (symbolic links) against its roots.
 * @param path absolute
 * @param options.foreign the image's files, held open: they are looked at, whatever is at `path` by now
 * @throws source_missing (absent, or not a readable image), unknown_format (of another format),
 *   source_references_other_file, source_encrypted, source_truncated, source_unsupported, source_too_complex (exceeded memory or CPU time), source_in_use;
 *   source_io_error, tool_failed, tool_timeout (60 s) where the host is in trouble and nothing is said of the image
 */
export async function inspectUntrusted(
  path: string,
  format: ImageFormat,
  { signal, ...how }: InspectOptions = {},
): Promise<ImageInfo> {
  checkAbsolutePath(path);
  checkFormat(format);
  const { vmdk } = await refuseReferences(heldPath(how.foreign) ?? path, format);
  const info = await describe({ type: 'file', path, format, ...how }, signal);
  if (info.backingName !== undefined || info.dataFile !== undefined || info.parentCid !== undefined) {
    throw new StrataError('source_references_other_file', 'The source image refers to another file.', {
      details: { path, backingName: info.backingName, dataFile: info.dataFile },
    });
  }
  if (info.encrypted) throw new StrataError('source_encrypted', 'The source image is encrypted.');
  if (!vmdk) return info;
  const nameOf = (extent: string) => declaredName(how.foreign, extent);
  return { ...info, extents: compareExtents(vmdk.declared, info, vmdk.named, nameOf) };
}

async function describe(ref: FileRef, signal: AbortSignal | undefined): Promise<ImageInfo> {
  const { path, format } = ref;
  try {
    return await imageInfo(
      { ...ref, noBacking: format === 'qcow2' },
      { limits: UNTRUSTED_LIMITS, deadlineMs: DEADLINE_MS, ...(signal ? { signal } : {}) },
    );
  } catch (error) {
    // A reason that the signal brought is nobody's verdict on the image.
    if (signal?.aborted === true || !isStrataError(error)) throw error;
    const code = verdictOn(error);
    if (code === undefined) throw error;
    throw new StrataError(code, `The ${format} source cannot be inspected. ${error.message}`, {
      cause: error,
      details: { path, format },
    });
  }
}
