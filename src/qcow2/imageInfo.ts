import { dirname, resolve } from 'node:path';
import type { ImageFormat } from './imageRef.js';
import {
  arrayField,
  countField,
  fieldOr,
  flagField,
  isJsonObject,
  type JsonObject,
  jsonArray,
  jsonObject,
  optionalField,
  parseToolJson,
  textField,
} from './toolJson.js';

/** One file of a VMDK that is spread over several. */
export interface ImageExtentFile {
  /** Absolute path. */
  filename: string;
  format?: string;
  virtualSizeBytes?: number;
  /** Unit of allocation of a sparse extent. */
  grainBytes?: number;
  /** Where a flat extent begins in its file; only where the descriptor was read, see inspectUntrusted. */
  fileOffsetBytes?: number;
}

/** A dirty bitmap stored in a QCOW2 file. */
export interface BitmapInfo {
  name: string;
  granularityBytes: number;
  /** `in-use` says that its writer did not finish: its content is not to be trusted. `auto` says that it is recording. */
  flags: string[];
}

/** What `qemu-img info` says of one image. */
export interface ImageInfo {
  /** As given to the tool, or as QEMU resolved it from the header above. */
  filename: string;
  format: string;
  virtualSizeBytes: number;
  /** Bytes that the file takes on its file system; 0 where the protocol cannot tell (NBD). */
  actualSizeBytes: number;
  clusterSize?: number;
  /** The backing file's name as the header has it. */
  backingName?: string;
  /** The backing file's format as the header has it; absent means that QEMU would guess it. */
  backingFormat?: string;
  /** The backing file's name as QEMU resolved it. */
  fullBackingName?: string;
  /** QCOW2's external data file. */
  dataFile?: string;
  /** VMDK only. For a monolithic sparse VMDK it is the file itself. */
  extents?: ImageExtentFile[];
  /** VMDK only: the content id of the parent, for a VMDK that has one. */
  parentCid?: number;
  /** QCOW2's compatibility level, `0.10` or `1.1`. */
  compat?: string;
  /** The dirty bit: the reference counts may be stale (lazy_refcounts). */
  dirty: boolean;
  /** The corrupt bit: QEMU saw broken metadata and opens the image for reading only. */
  corrupt: boolean;
  encrypted: boolean;
  bitmaps: BitmapInfo[];
}

/** "No parent" in a VMDK descriptor (parentCID=ffffffff). */
const NO_PARENT_CID = 0xffffffff;

/** Parses the output of `qemu-img info --output=json`. @throws tool_output_invalid */
export function parseImageInfo(text: string): ImageInfo {
  return toImageInfo(jsonObject(parseToolJson(text), 'info'));
}

/** Parses the output of `qemu-img info --output=json --backing-chain`: top first. @throws tool_output_invalid */
export function parseChainInfo(text: string): ImageInfo[] {
  return jsonArray(parseToolJson(text), 'chain').map((image) => toImageInfo(jsonObject(image, 'image')));
}

function toImageInfo(info: JsonObject): ImageInfo {
  const filename = textField(info, 'filename');
  const format = textField(info, 'format');
  const specific = formatSpecific(info);
  return {
    filename,
    format,
    virtualSizeBytes: countField(info, 'virtual-size'),
    actualSizeBytes: fieldOr(info, 'actual-size', countField, 0),
    ...optionalField(info, 'cluster-size', countField, (clusterSize) => ({ clusterSize })),
    ...optionalField(info, 'backing-filename', textField, (backingName) => ({ backingName })),
    ...optionalField(info, 'backing-filename-format', textField, (backingFormat) => ({ backingFormat })),
    ...optionalField(info, 'full-backing-filename', textField, (fullBackingName) => ({ fullBackingName })),
    ...optionalField(specific, 'data-file', textField, (dataFile) => ({ dataFile })),
    ...optionalField(specific, 'compat', textField, (compat) => ({ compat })),
    ...vmdkInfo(specific, filename, format),
    dirty: fieldOr(info, 'dirty-flag', flagField, false),
    corrupt: fieldOr(specific, 'corrupt', flagField, false),
    encrypted: fieldOr(info, 'encrypted', flagField, false),
    bitmaps: fieldOr(specific, 'bitmaps', arrayField, []).map(toBitmap),
  };
}

function formatSpecific(info: JsonObject): JsonObject {
  const specific = info['format-specific'];
  return isJsonObject(specific) && isJsonObject(specific['data']) ? specific['data'] : {};
}

function vmdkInfo(specific: JsonObject, filename: string, format: string): Partial<ImageInfo> {
  if (format !== ('vmdk' satisfies ImageFormat)) return {};
  const parentCid = fieldOr(specific, 'parent-cid', countField, NO_PARENT_CID);
  return {
    extents: fieldOr(specific, 'extents', arrayField, []).map((extent) => toExtentFile(extent, filename)),
    ...(parentCid === NO_PARENT_CID ? {} : { parentCid }),
  };
}

function toExtentFile(value: unknown, filename: string): ImageExtentFile {
  const extent = jsonObject(value, 'extent');
  return {
    filename: resolve(dirname(filename), textField(extent, 'filename')),
    ...optionalField(extent, 'format', textField, (format) => ({ format })),
    ...optionalField(extent, 'virtual-size', countField, (virtualSizeBytes) => ({ virtualSizeBytes })),
    ...optionalField(extent, 'cluster-size', countField, (grainBytes) => ({ grainBytes })),
  };
}

function toBitmap(value: unknown): BitmapInfo {
  const bitmap = jsonObject(value, 'bitmap');
  return {
    name: textField(bitmap, 'name'),
    granularityBytes: countField(bitmap, 'granularity'),
    flags: arrayField(bitmap, 'flags').map(String),
  };
}
