// One file for each question about an image; all are imported through the index.
import { openSource } from './imageHead.js';
import { readAt } from './readAt.js';
import { descriptorOffset, extentNames, MAX_DESCRIPTOR_BYTES, opensNamedExtents } from './vmdkDescriptor.js';

const HEAD_BYTES = 512;

/**
 * The names of the other files that QEMU opens to read a VMDK, as its descriptor has them; none for one that is complete in
 * itself. More than QEMU would open, never fewer. Whether they are plain names is refuseReferences' to say.
 * @param path absolute
 * @throws source_missing, source_io_error
 */
export async function namedExtents(path: string): Promise<string[]> {
  const file = await openSource(path);
  try {
    const head = await readAt(file, 0, HEAD_BYTES);
    const offset = descriptorOffset(head);
    if (offset === undefined || !opensNamedExtents(head)) return [];
    const descriptor = await readAt(file, offset, MAX_DESCRIPTOR_BYTES);
    // Names are bytes to QEMU, and UTF-8 to Node.
    return extentNames(descriptor.toString('latin1')).map((name) => Buffer.from(name, 'latin1').toString());
  } finally {
    await file.close();
  }
}
