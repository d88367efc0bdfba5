import { StrataError } from '../shared/errors.js';

/** QEMU reads at most this much of a descriptor (block/vmdk.c, vmdk_read_desc). */
export const MAX_DESCRIPTOR_BYTES = 1024 ** 2;

/** Magic numbers of sparse extents: hosted (`KDMV`) and ESX (`COWD`). A file without them is a text descriptor. */
const SPARSE_MAGIC = ['KDMV', 'COWD'];
const SECTOR = 512;
/** `descriptorOffset` and `capacity` in SparseExtentHeader, in sectors (VMware Virtual Disk Format 5.0). */
const CAPACITY_AT = 12;
const DESCRIPTOR_OFFSET_AT = 28;

/** Where a VMDK's descriptor text begins, in bytes, from the file's first sector; undefined if it has none. */
export function descriptorOffset(head: Buffer): number | undefined {
  const magic = head.toString('latin1', 0, 4);
  if (!SPARSE_MAGIC.includes(magic)) return 0;
  if (magic === 'COWD' || head.length < DESCRIPTOR_OFFSET_AT + 8) return undefined;
  const sectors = head.readBigUInt64LE(DESCRIPTOR_OFFSET_AT);
  if (sectors === 0n || sectors > BigInt(Number.MAX_SAFE_INTEGER) / BigInt(SECTOR)) return undefined;
  return Number(sectors) * SECTOR;
}

/**
 * Whether QEMU opens the extents that the descriptor names: always for a text descriptor; for a hosted sparse file only
 * if its own capacity is 0 (block/vmdk.c, vmdk_open_vmdk4).
 */
export function opensNamedExtents(head: Buffer): boolean {
  if (!SPARSE_MAGIC.includes(head.toString('latin1', 0, 4))) return true;
  return head.length >= CAPACITY_AT + 8 && head.readBigUInt64LE(CAPACITY_AT) === 0n;
}

/**
 * The extent file names of a descriptor: `RW 4192256 SPARSE "disk-s001.vmdk"`. Reads at least what QEMU reads, which
 * uses sscanf: blanks may be line breaks, so that an extent may be spread over lines.
 */
export function extentNames(descriptor: string): string[] {
  const extent = /[\s\0]*RW\s+[-+]?\d*\s*[^\s"]*\s*"([^"\r\n]*)"/y;
  const names: string[] = [];
  for (let line = 0; line !== -1 && line < descriptor.length; line = nextLine(descriptor, line)) {
    extent.lastIndex = line;
    const name = extent.exec(descriptor)?.[1];
    if (name !== undefined && !names.includes(name)) names.push(name);
  }
  return names;
}

function nextLine(text: string, from: number): number {
  const end = text.indexOf('\n', from);
  return end === -1 ? -1 : end + 1;
}

/**
 * Refuses a descriptor that refers beyond its own directory: a parent (a delta disk), or an extent that is not a plain
 * file name. QEMU would open an absolute path or even `nbd://...` there.
 * @throws source_references_other_file
 */
export function refuseForeignReferences(descriptor: string, checkExtents: boolean): void {
  if (/parentFileNameHint\s*=/i.test(descriptor)) {
    throw new StrataError('source_references_other_file', 'The VMDK image is a delta of a parent image.');
  }
  const foreign = checkExtents ? extentNames(descriptor).find((name) => !isPlainName(name)) : undefined;
  if (foreign !== undefined) {
    throw new StrataError(
      'source_references_other_file',
      'The VMDK image has an extent that is not in its own directory.',
      { details: { extent: foreign } },
    );
  }
}

function isPlainName(name: string): boolean {
  return name !== '' && name !== '.' && name !== '..' && !/[/:\0]/.test(name);
}
