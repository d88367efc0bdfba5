import { randomBytes } from 'node:crypto';
import { open } from 'node:fs/promises';

/** Makes (or makes anew) a sparse raw disk with random data at the given `[offset, length]` places, in bytes. */
export async function makeDisk(
  path: string,
  sizeBytes: number,
  pieces: readonly (readonly [number, number])[],
): Promise<void> {
  const handle = await open(path, 'w');
  try {
    await handle.truncate(sizeBytes);
    for (const [offset, length] of pieces) await handle.write(randomBytes(length), 0, length, offset);
  } finally {
    await handle.close();
  }
}

/** Writes random data into a raw disk; beyond its end it grows. */
export async function writeAt(path: string, offset: number, length: number): Promise<void> {
  await overwrite(path, offset, randomBytes(length));
}

/** Writes these bytes into a file. */
export async function overwrite(path: string, offset: number, bytes: Buffer): Promise<void> {
  const handle = await open(path, 'r+');
  try {
    await handle.write(bytes, 0, bytes.length, offset);
  } finally {
    await handle.close();
  }
}
