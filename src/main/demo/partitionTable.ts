/** Sectors of 512 bytes, as every partition table of this kind counts. */
export const SECTOR = 512;

const TABLE_OFFSET = 446;
const LINUX = 0x83;
/** Beyond what cylinders, heads and sectors can say: 1023/254/63, "see the sector numbers". */
const CHS_BEYOND = [0xfe, 0xff, 0xff] as const;

/**
 * A master boot record with one Linux partition, as sfdisk would write it: no boot code, four 16-byte entries at 446, the
 * signature 55 AA at 510 (layout: UEFI specification 2.10, section 5.2.1).
 * @param partition offset and length in bytes, multiples of 512, below 2 TiB
 * @param signature identifies the disk
 */
export function masterBootRecord(partition: { offset: number; length: number }, signature: number): Buffer {
  const record = Buffer.alloc(SECTOR);
  record.writeUInt32LE(signature, 440);
  record.set([0, ...CHS_BEYOND, LINUX, ...CHS_BEYOND], TABLE_OFFSET);
  record.writeUInt32LE(partition.offset / SECTOR, TABLE_OFFSET + 8);
  record.writeUInt32LE(partition.length / SECTOR, TABLE_OFFSET + 12);
  record.set([0x55, 0xaa], 510);
  return record;
}
