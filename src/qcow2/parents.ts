import type { FileHandle } from 'node:fs/promises';
import { StrataError } from '../shared/errors.js';
import { readAt } from './readAt.js';

/** The signature of a VDI, little-endian, and where it is. */
const VDI_SIGNATURE_AT = 0x40;
const VDI_SIGNATURE = 0xbeda107f;
/** UUIDs of the parent and of its state, in the header of a VDI (VirtualBox, VDICore.h: VDIHEADER1PLUS). */
const VDI_LINK_AT = 0x1a8;
const VDI_PARENT_AT = 0x1b8;
const UUID_BYTES = 16;

/** Refuses a VDI that is the difference to a parent: QEMU does, too, with an error of its own. @throws source_references_other_file */
export function checkVdiParent(head: Buffer): void {
  if (head.length < VDI_PARENT_AT + UUID_BYTES || head.readUInt32LE(VDI_SIGNATURE_AT) !== VDI_SIGNATURE)
    return;
  const uuids = [VDI_LINK_AT, VDI_PARENT_AT].map((at) => head.subarray(at, at + UUID_BYTES));
  if (uuids.some((uuid) => uuid.some((byte) => byte !== 0))) throw differencing('VDI');
}

/**
 * Places and GUIDs of [MS-VHDX]: the first region table (2.2.3), in it the metadata region, in its table (2.6.1) the file
 * parameters (2.6.2.1), little-endian.
 */
const REGION_TABLE_AT = 192 * 1024;
const TABLE_BYTES = 64 * 1024;
const REGION_ENTRIES_AT = 16;
const METADATA_ENTRIES_AT = 32;
const ENTRY_BYTES = 32;
const METADATA_REGION = Buffer.from('06a27c8b90479a4bb8fe575f050f886e', 'hex');
const FILE_PARAMETERS = Buffer.from('3767a1ca36fa434db3b633f0aa44e76b', 'hex');
const HAS_PARENT = 1 << 1;

/**
 * Refuses a VHDX that is the difference to a parent. What does not look like a VHDX is left to QEMU.
 * @throws source_references_other_file
 */
export async function checkVhdxParent(file: FileHandle): Promise<void> {
  const regions = await readAt(file, REGION_TABLE_AT, TABLE_BYTES);
  const region = entryOf(regions, METADATA_REGION, REGION_ENTRIES_AT);
  const at = region === undefined ? undefined : safe(regions.readBigUInt64LE(region + 16));
  if (at === undefined) return;
  const table = await readAt(file, at, TABLE_BYTES);
  const item = entryOf(table, FILE_PARAMETERS, METADATA_ENTRIES_AT);
  if (item === undefined) return;
  const parameters = await readAt(file, at + table.readUInt32LE(item + 16), 8);
  if (parameters.length === 8 && (parameters.readUInt32LE(4) & HAS_PARENT) !== 0) throw differencing('VHDX');
}

function entryOf(table: Buffer, guid: Buffer, from: number): number | undefined {
  for (let at = from; at + ENTRY_BYTES <= table.length; at += ENTRY_BYTES) {
    if (table.subarray(at, at + guid.length).equals(guid)) return at;
  }
  return undefined;
}

function safe(value: bigint): number | undefined {
  return value > 2n ** 52n ? undefined : Number(value);
}

function differencing(what: string): StrataError {
  return new StrataError(
    'source_references_other_file',
    `The ${what} is a differencing disk: most of its content is in a parent. Merge it into its parent, or clone it into an image of its own, and back up the result.`,
  );
}
