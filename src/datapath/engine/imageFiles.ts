import { constants } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';
import { chainInfo, heldPath, type ImageRef } from '../../qcow2/index.js';
import { errnoOf } from '../../shared/errors.js';
import type { OpenFile } from './hashBatch.js';

/** Formats of which `qemu-img map` gives offsets in the very file that was named. A VMDK may be several files. */
const DIRECT = new Set(['raw', 'qcow2']);

export interface ImageFiles {
  /** Top first, so that the `depth` of `qemu-img map` is the index. Empty where only QEMU can read the bytes. */
  files: OpenFile[];
  close(): Promise<void>;
}

/**
 * Opens an image and its backing files for reading.
 * @param throughCache files not by direct I/O, even where their file system has it
 */
export async function openImageFiles(
  ref: ImageRef,
  throughCache: boolean,
  signal: AbortSignal,
): Promise<ImageFiles> {
  const handles: FileHandle[] = [];
  const close = async () => {
    await Promise.all(handles.map((handle) => handle.close()));
  };
  try {
    const files: OpenFile[] = [];
    for (const path of await pathsOf(ref, signal)) {
      if ((await stat(path)).isBlockDevice()) {
        // Its page cache, and that of each of its partitions, may be older than what is on it.
        const device = await open(path, constants.O_RDONLY | constants.O_DIRECT);
        handles.push(device);
        files.push({ fd: device.fd, direct: device.fd, directOnly: true });
        continue;
      }
      const cached = await open(path, 'r');
      handles.push(cached);
      const direct = throughCache ? undefined : await openDirect(path);
      if (direct) handles.push(direct);
      files.push({ fd: cached.fd, ...(direct ? { direct: direct.fd } : {}) });
    }
    return { files, close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function pathsOf(ref: ImageRef, signal: AbortSignal): Promise<string[]> {
  if (ref.type !== 'file' || !DIRECT.has(ref.format)) return [];
  // By the descriptor of what was looked at, where the image is not Strata's own.
  const top = heldPath(ref.foreign) ?? ref.path;
  if (ref.format === 'raw' || ref.noBacking === true) return [top];
  const [own, ...below] = await chainInfo(ref.path, { signal });
  // Clusters of a QCOW2 with a data file lie in that file.
  if (own?.dataFile !== undefined) return [];
  const other = below.findIndex(({ format, dataFile }) => !DIRECT.has(format) || dataFile !== undefined);
  // Of what lies below a file of another kind, nothing is known: those ranges are read through QEMU.
  const known = other === -1 ? below : below.slice(0, other);
  return [top, ...known.map(({ filename }) => filename)];
}

/** Undefined where the file system has no direct I/O (tmpfs). */
async function openDirect(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, constants.O_RDONLY | constants.O_DIRECT);
  } catch (error) {
    if (errnoOf(error) === 'EINVAL') return undefined;
    throw error;
  }
}
