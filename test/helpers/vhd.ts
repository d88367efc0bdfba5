import { randomUUID } from 'node:crypto';
import { writeFile } from 'node:fs/promises';

/** A VHD as a program other than QEMU writes it (Microsoft, Virtual Hard Disk Image Format Specification 1.0). */
export interface VhdShape {
  /** Four characters: `wa\0\0` of Azure, `vbox`, `win ` of Hyper-V, `vpc ` of Virtual PC. */
  creator: string;
  /** The disk's content; a multiple of 512 bytes. */
  content: Buffer;
  /** 2: fixed, 3: dynamic, 4: differencing. */
  type?: 2 | 3 | 4;
  /** What the footer says in place of the content's length. */
  statedSize?: number;
}

const SECTOR = 512;
const BLOCK = 2 * 1024 * 1024;
const HEADER_AT = 512n;
const TABLE_AT = 1536;

/** Writes a VHD: fixed is the content and a footer; else a footer, a header, a table of blocks, blocks, the footer again. */
export async function writeVhd(path: string, { type = 2, ...shape }: VhdShape): Promise<void> {
  const footer = vhdFooter({ ...shape, type });
  await writeFile(path, type === 2 ? Buffer.concat([shape.content, footer]) : sparse(shape.content, footer));
}

function sparse(content: Buffer, footer: Buffer): Buffer {
  const count = Math.ceil(content.length / BLOCK);
  const table = Buffer.alloc(Math.ceil((count * 4) / SECTOR) * SECTOR, 0xff);
  const blocks: Buffer[] = [];
  let sector = (TABLE_AT + table.length) / SECTOR;
  for (let block = 0; block < count; block++) {
    const data = Buffer.alloc(BLOCK);
    content.copy(data, 0, block * BLOCK);
    if (data.every((byte) => byte === 0)) continue;
    table.writeUInt32BE(sector, block * 4);
    // The block's bitmap: one bit for each of its 4096 sectors.
    blocks.push(Buffer.alloc(SECTOR, 0xff), data);
    sector += (SECTOR + BLOCK) / SECTOR;
  }
  return Buffer.concat([footer, dynamicHeader(count), table, ...blocks, footer]);
}

function dynamicHeader(blocks: number): Buffer {
  const header = Buffer.alloc(1024);
  header.write('cxsparse', 'latin1');
  header.fill(0xff, 8, 16);
  header.writeBigUInt64BE(BigInt(TABLE_AT), 16);
  header.writeUInt32BE(0x00010000, 24);
  header.writeUInt32BE(blocks, 28);
  header.writeUInt32BE(BLOCK, 32);
  return sealed(header, 36);
}

/** The 512 bytes of a footer. */
export function vhdFooter({ creator, content, type, statedSize = content.length }: VhdShape): Buffer {
  const footer = Buffer.alloc(SECTOR);
  footer.write('conectix', 'latin1');
  footer.writeUInt32BE(2, 8);
  footer.writeUInt32BE(0x00010000, 12);
  footer.writeBigUInt64BE(type === 2 ? 0xffff_ffff_ffff_ffffn : HEADER_AT, 16);
  footer.write(creator, 28, 'latin1');
  footer.writeUInt32BE(0x00010000, 32);
  footer.write('Wi2k', 36, 'latin1');
  footer.writeBigUInt64BE(BigInt(statedSize), 40);
  footer.writeBigUInt64BE(BigInt(statedSize), 48);
  writeGeometry(footer, statedSize / SECTOR);
  footer.writeUInt32BE(type ?? 2, 60);
  Buffer.from(randomUUID().replaceAll('-', ''), 'hex').copy(footer, 68);
  return sealed(footer, 64);
}

/** Cylinders, heads and sectors by the specification's appendix "CHS Calculation", rounded down. */
function writeGeometry(footer: Buffer, sectors: number): void {
  let perTrack = 17;
  let cylinderHeads = Math.floor(sectors / perTrack);
  let heads = Math.max(4, Math.floor((cylinderHeads + 1023) / 1024));
  if (cylinderHeads >= heads * 1024 || heads > 16) {
    perTrack = 31;
    heads = 16;
    cylinderHeads = Math.floor(sectors / perTrack);
  }
  if (cylinderHeads >= heads * 1024) {
    perTrack = 63;
    heads = 16;
    cylinderHeads = Math.floor(sectors / perTrack);
  }
  footer.writeUInt16BE(Math.floor(cylinderHeads / heads), 56);
  footer.writeUInt8(heads, 58);
  footer.writeUInt8(perTrack, 59);
}

/** The one's complement of the sum of all other bytes. */
function sealed(bytes: Buffer, checksumAt: number): Buffer {
  bytes.writeUInt32BE(~bytes.reduce((sum, byte) => sum + byte, 0) >>> 0, checksumAt);
  return bytes;
}
