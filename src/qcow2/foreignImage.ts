import { basename, join } from 'node:path';
import type { Sandbox } from './sandbox/types.js';

/** The first descriptor that a tool inherits: 0 to 2 are its standard streams. */
export const FIRST_INHERITED = 3;

/** One file of an image from outside, held open by whoever looked at it. */
export interface ForeignFile {
  /** The plain name by which the image itself may refer to it. */
  name: string;
  /** With all symbolic links resolved. For messages only: what comes to this path later is not opened. */
  path: string;
  /** Open for reading in this process, for as long as the image is in use. */
  fd: number;
  /**
   * Who can open it: anybody by its mode; whoever may read every file (CAP_DAC_READ_SEARCH); or, on a network or FUSE
   * file system, which asks for a user's id and for no capability, the worker's own user.
   */
  readableBy: 'anybody' | 'capability' | 'worker';
}

/**
 * An image that Strata did not write. A tool gets it by descriptors and never by path, so that it reads the very files
 * that were looked at, whatever has come to their names since.
 */
export interface ForeignImage {
  /** The image itself first, then what its descriptor names (a VMDK of several extents). */
  files: readonly ForeignFile[];
  /** Of an image of several files: a private directory in which each name is a link to the tool's own descriptor. */
  directory?: string;
  /** Where the tool runs; undefined where nothing foreign is parsed (raw), or the host allows no sandbox. */
  sandbox?: Sandbox;
}

/** What the file of that index is called inside of a tool that inherits the image (proc(5): opening it opens the same inode). */
export function inheritedPath(index: number): string {
  return `/proc/self/fd/${FIRST_INHERITED + index}`;
}

/** What the image itself is called inside of this process. */
export function heldPath(image: ForeignImage | undefined): string | undefined {
  const fd = image?.files[0]?.fd;
  return fd === undefined ? undefined : `/proc/self/fd/${fd}`;
}

/** What a tool is told to open. */
export function foreignName({ files, directory }: ForeignImage): string {
  return directory === undefined ? inheritedPath(0) : join(directory, files[0]?.name ?? '');
}

/** The real path of a file that a tool names. */
export function realPathOf(image: ForeignImage | undefined, named: string): string {
  return aliases(image).find(({ alias }) => alias === named)?.path ?? named;
}

/** The name by which the image refers to the file at that path: where it is a link, the path has another one. */
export function declaredName(image: ForeignImage | undefined, path: string): string {
  return image?.files.find((file) => file.path === path)?.name ?? basename(path);
}

/** A tool's words with the real paths in them: the number of a descriptor tells a reader nothing. */
export function withRealPaths(image: ForeignImage | undefined, text: string): string {
  let told = text;
  for (const { alias, path } of aliases(image)) {
    // `/proc/self/fd/3` is also the beginning of `/proc/self/fd/30`.
    told = told.split(alias).reduce((before, after) => before + (/^\d/.test(after) ? alias : path) + after);
  }
  return told;
}

/** Longer names first: one may begin with another. */
function aliases(image: ForeignImage | undefined): { alias: string; path: string }[] {
  if (!image) return [];
  const { files, directory } = image;
  const all = files.flatMap(({ name, path }, index) => [
    ...(directory === undefined ? [] : [{ alias: join(directory, name), path }]),
    { alias: inheritedPath(index), path },
  ]);
  return all.sort((a, b) => b.alias.length - a.alias.length);
}
