import { basename } from 'node:path';
import { StrataError } from '../shared/errors.js';
import type { ImageExtentFile, ImageInfo } from './imageInfo.js';

/** One extent as a VMDK's descriptor declares it: `RW 4192256 FLAT "disk-f001.vmdk" 0`. */
export interface DeclaredExtent {
  access: string;
  sectors: number;
  type: string;
  /** Absent for `ZERO`. */
  name?: string;
  /** Where the extent begins in its file, in sectors; for flat ones. */
  offset: number;
}

const SECTOR = 512;
/** The kinds that QEMU opens and whose length is checked (block/vmdk.c, vmdk_parse_extents); it knows SESPARSE too. */
const READ_TYPES = ['FLAT', 'SPARSE', 'VMFS', 'VMFSSPARSE'];
const EXTENT_LINE =
  /^[ \t]*(RW|RDONLY|NOACCESS)[ \t]+(\d{1,15})[ \t]+([A-Z]+)(?:[ \t]+"([^"]*)"(?:[ \t]+(\d{1,15}))?)?/;

/**
 * The extents of a descriptor, a line each (VMware, Virtual Disk Format 5.0, "The Extents").
 * @throws source_unsupported for a line that begins like an extent and is none
 */
export function declaredExtents(descriptor: string): DeclaredExtent[] {
  // What follows a NUL are the data of the file that the descriptor is in.
  return (descriptor.split('\0', 1)[0] ?? '')
    .split(/[\r\n]+/)
    .filter((line) => /^[ \t]*(RW|RDONLY|NOACCESS)\b/.test(line))
    .map((line) => {
      const [, access, sectors, type, name, offset] = EXTENT_LINE.exec(line) ?? [];
      if (access === undefined || type === undefined)
        throw unsupported(`has an extent that cannot be read: ${line}`);
      return {
        access,
        sectors: Number(sectors),
        type,
        ...(name === undefined ? {} : { name }),
        offset: Number(offset ?? 0),
      };
    });
}

/**
 * Refuses extents that QEMU would drop, so that all behind them would move towards the disk's beginning: those that are not
 * `RW`, and those of a kind that it does not open, such as `ZERO`.
 * @throws source_unsupported
 */
export function refuseDropped(extents: readonly DeclaredExtent[]): void {
  const dropped = extents.find(({ access, type }) => access !== 'RW' || !READ_TYPES.includes(type));
  if (!dropped) return;
  const { access, sectors, type } = dropped;
  throw unsupported(
    `has an extent "${access} ${sectors} ${type}"; only RW ones are read that are ${READ_TYPES.join(', ')}. Let the tools of VMware copy the disk into one file`,
  );
}

/**
 * Compares the extents that the descriptor declares with those that QEMU has opened, one by one: it drops some, and reads
 * the line after a blank one twice.
 * @param named QEMU opens what the descriptor names; else the descriptor only describes the file that it is in
 * @param nameOf what the descriptor calls the file at a path
 * @returns the extents that QEMU has opened, with their places in their files
 * @throws source_unsupported where they differ
 */
export function compareExtents(
  declared: readonly DeclaredExtent[],
  { extents = [], virtualSizeBytes }: Pick<ImageInfo, 'extents' | 'virtualSizeBytes'>,
  named: boolean,
  nameOf: (path: string) => string = basename,
): ImageExtentFile[] {
  if (!named) {
    const stated = declared.reduce((sum, { sectors }) => sum + sectors, 0) * SECTOR;
    if (!isRoundedUp(stated, virtualSizeBytes, extents[0])) throw differ(declared, extents);
    return extents;
  }
  if (declared.length !== extents.length) throw differ(declared, extents);
  return extents.map((extent, index) => {
    const { name, sectors, type, offset } = declared[index] as DeclaredExtent;
    const size = extent.virtualSizeBytes ?? 0;
    const same = nameOf(extent.filename) === name && extent.format === type;
    const last = index === extents.length - 1;
    const fits = last ? isRoundedUp(sectors * SECTOR, size, extent) : size === sectors * SECTOR;
    if (!same || !fits) throw differ(declared, extents);
    return type === 'FLAT' || type === 'VMFS' ? { ...extent, fileOffsetBytes: offset * SECTOR } : extent;
  });
}

/** A sparse extent is made of whole grains; the last one may be longer than the disk, as VirtualBox writes it. */
function isRoundedUp(stated: number, size: number, extent: ImageExtentFile | undefined): boolean {
  return size === stated || (size > stated && size - stated < (extent?.grainBytes ?? 0));
}

function differ(declared: readonly DeclaredExtent[], opened: readonly ImageExtentFile[]): StrataError {
  const bytes = (sizes: number[]) => sizes.reduce((sum, size) => sum + size, 0);
  const stated = bytes(declared.map(({ sectors }) => sectors * SECTOR));
  const seen = bytes(opened.map(({ virtualSizeBytes = 0 }) => virtualSizeBytes));
  return unsupported(
    `declares ${declared.length} extents of ${stated} bytes together, and QEMU reads ${opened.length} of ${seen} bytes. A blank line before an extent makes QEMU read the extent twice: remove it`,
  );
}

function unsupported(what: string): StrataError {
  return new StrataError('source_unsupported', `The VMDK ${what}.`);
}
