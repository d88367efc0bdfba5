import { open } from 'node:fs/promises';
import { mapImage } from '../../../../../src/qcow2/index.js';

/** Where in an image's own file a byte of the guest's disk lies. */
export async function placeOf(image: string, offset: number): Promise<number> {
  const ref = { type: 'file', path: image, format: 'qcow2', noBacking: true } as const;
  for await (const extent of mapImage(ref)) {
    const inside = extent.start <= offset && offset < extent.start + extent.length;
    if (inside && extent.offset !== undefined) return extent.offset + offset - extent.start;
  }
  throw new Error(`${image} holds no data at ${offset}.`);
}

/** Offsets of the tables of a small image (QEMU docs/interop/qcow2.txt): the L1 table and the first L2 table. */
export async function tablesOf(image: string): Promise<{ l1: number; l2: number }> {
  const file = await open(image, 'r');
  try {
    const bytes = Buffer.alloc(8);
    await file.read(bytes, 0, 8, 40);
    const l1 = Number(bytes.readBigUInt64BE());
    await file.read(bytes, 0, 8, l1);
    return { l1, l2: Number(bytes.readBigUInt64BE() & 0x00ff_ffff_ffff_fe00n) };
  } finally {
    await file.close();
  }
}
