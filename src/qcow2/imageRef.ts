import { StrataError } from '../shared/errors.js';
import { type ForeignImage, foreignName } from './foreignImage.js';
import { nbdOpenArgs } from './nbdRef.js';
import { checkAbsolutePath } from './paths.js';

export type ImageFormat = 'raw' | 'qcow2' | 'vmdk' | 'vhdx' | 'vdi' | 'vpc';

/** Every format that Strata reads and writes. The format is always stated: QEMU never guesses one. */
export const IMAGE_FORMATS: readonly ImageFormat[] = ['raw', 'qcow2', 'vmdk', 'vhdx', 'vdi', 'vpc'];

/**
 * What to open.
 * `file`: an image file or block device, by absolute path. `noBacking` never opens the backing file: what this file
 * does not hold reads as zero. `foreign`: an image from outside, which the tool gets by descriptors instead of the path.
 * `direct` reads past the page cache: a block device, whose partitions have caches of their own, all of which may be older
 * than what is on it. `forceShare` takes no lock against writers, and none of theirs counts.
 * `nbd`: a full NBD URI: `nbd://`, `nbd+unix:///export?socket=/path`, or `nbds://` with `?tls-certificates=/directory`.
 */
export type ImageRef =
  | {
      type: 'file';
      path: string;
      format: ImageFormat;
      noBacking?: boolean;
      foreign?: ForeignImage;
      direct?: boolean;
      forceShare?: boolean;
    }
  | { type: 'nbd'; uri: string };

/** How a reference is spelled on a command line. */
export interface OpenArgs {
  /** `--object` options that must come before the others; usually none. */
  objects: string[];
  /** For `-f`, `-F` or `-O`. */
  format: ImageFormat;
  /** The positional argument. */
  name: string;
  /** What the tool inherits; for ToolCall. */
  foreign?: ForeignImage;
}

/** Narrows a string from a request or a row to a format. */
export function isImageFormat(value: unknown): value is ImageFormat {
  return IMAGE_FORMATS.some((format) => format === value);
}

/**
 * Spells a reference for a QEMU tool.
 * @param id names the TLS object of an `nbds://` reference; unique within one command line
 * @throws path_not_allowed for a path that is not absolute
 * @throws unknown_format for a format that is not in IMAGE_FORMATS
 * @throws invalid_request for an address that is no NBD URI
 */
export function openArgs(ref: ImageRef, id: string): OpenArgs {
  if (ref.type === 'nbd') return { format: 'raw', ...nbdOpenArgs(ref.uri, id) };
  const format = checkFormat(ref.format);
  const path = checkAbsolutePath(ref.path);
  const more = {
    // The option-string form of "no backing file" (`backing=`) is deprecated.
    ...(ref.noBacking === true && hasBackingFiles(format) ? { backing: null } : {}),
    // QEMU takes a VHD for cylinders x heads x sectors long, and drops what lies behind, unless it knows the program
    // that wrote it: 7.2 knows neither Azure's nor VirtualBox's. The footer's "current size" is the disk's (VHD 1.0).
    ...(format === 'vpc' ? { force_size_calc: 'current_size' } : {}),
    ...(ref.direct === true ? { cache: { direct: true } } : {}),
    ...(ref.forceShare === true ? { 'force-share': true } : {}),
  };
  const opened = { objects: [], format, ...(ref.foreign ? { foreign: ref.foreign } : {}) };
  const filename = ref.foreign ? foreignName(ref.foreign) : path;
  if (Object.keys(more).length === 0) return { ...opened, name: filename };
  // The file's driver is left out: with it, QEMU would refuse block devices.
  const options = { driver: format, file: { filename }, ...more };
  return { ...opened, name: `json:${JSON.stringify(options)}` };
}

/** Returns the format if it is one of IMAGE_FORMATS: a value may come from a row or a request, whatever its type says. */
export function checkFormat(format: ImageFormat): ImageFormat {
  if (!isImageFormat(format)) {
    throw new StrataError(
      'unknown_format',
      `The image format "${String(format)}" is not one that Strata reads.`,
    );
  }
  return format;
}

function hasBackingFiles(format: ImageFormat): boolean {
  return format === 'qcow2' || format === 'vmdk';
}
