import { type FileHandle, open } from 'node:fs/promises';
import { chainInfo, type ImageRef } from '../../qcow2/index.js';

/** Formats of which `qemu-img map` gives offsets in the very file that was named. A VMDK may be several files. */
const DIRECT = new Set(['raw', 'qcow2']);

/**
 * Opens an image and its backing files for reading, top first, so that the `depth` of `qemu-img map` is the index. The
 * caller closes them.
 * @returns nothing where the bytes can only be read through QEMU
 */
export async function openImageFiles(ref: ImageRef, signal: AbortSignal): Promise<FileHandle[]> {
  if (ref.type !== 'file' || !DIRECT.has(ref.format)) return [];
  const paths = [ref.path];
  if (ref.format === 'qcow2' && ref.noBacking !== true) {
    const [top, ...below] = await chainInfo(ref.path, { signal });
    if (top?.dataFile !== undefined || top?.encrypted === true) return [];
    // Below a file of another kind, nothing is known of where bytes lie; those ranges go through QEMU.
    for (const { filename, format } of below) {
      if (!DIRECT.has(format)) break;
      paths.push(filename);
    }
  }
  const files: FileHandle[] = [];
  try {
    for (const path of paths) files.push(await open(path, 'r'));
    return files;
  } catch (error) {
    for (const file of files) await file.close();
    throw error;
  }
}
