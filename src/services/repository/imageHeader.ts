import { createHash } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';

/** QCOW2 keeps header, extensions and the backing file's name in the first cluster (QEMU docs/interop/qcow2.txt). */
const HEADER_BYTES = 65_536;

/**
 * SHA-256 of an image's first cluster, in hexadecimal: it holds bits that QEMU does not look at, so that no check of the
 * image tells that they have changed.
 */
export async function headerDigest(path: string): Promise<string> {
  const file = await open(path, 'r');
  try {
    return await digestHeader(file);
  } finally {
    await file.close();
  }
}

/** The same of an open file. A file that ends earlier is digested as far as it goes. */
export async function digestHeader(file: FileHandle): Promise<string> {
  const head = Buffer.alloc(HEADER_BYTES);
  let length = 0;
  while (length < head.length) {
    const { bytesRead } = await file.read(head, length, head.length - length, length);
    if (bytesRead === 0) break;
    length += bytesRead;
  }
  return createHash('sha256').update(head.subarray(0, length)).digest('hex');
}
