/** Formats that a source may be stated to have, in QEMU's names. */
export const SOURCE_FORMATS = ['raw', 'qcow2', 'vmdk', 'vhdx', 'vdi', 'vpc'] as const;
export type SourceFormat = (typeof SOURCE_FORMATS)[number];

/** Where a worker reads a disk's bytes from (docs/sources.md). The format of a file is always stated, never guessed. */
export type ReadSource =
  /** `force_share`: read without QEMU's lock and although others may write, as `qemu-img --force-share` does. */
  | { type: 'file'; path: string; format: SourceFormat; force_share?: boolean }
  | { type: 'nbd'; uri: string; bitmap?: string };

/** Where a disk's bytes are read from, or that an agent pushes them (docs/push.md). The schema is in contract/sources.ts. */
export type DiskSource = ReadSource | { type: 'push' };

/** Who knows, by the source alone, what has changed: the agent that pushes, or a dirty bitmap. */
export function changesKnownBy(source: DiskSource): 'push' | 'bitmap' | 'none' {
  if (source.type === 'push') return 'push';
  return source.type === 'nbd' && source.bitmap !== undefined ? 'bitmap' : 'none';
}

/** A worker can read the disk itself, and not only take what an agent writes. */
export function isRead(source: DiskSource): source is ReadSource {
  return source.type !== 'push';
}
