import { BLOCK_SIZE, checkExtent, type Extent } from '../../src/shared/extents.js';

/**
 * Sorts, merges and widens extents to whole blocks (the last one is clipped to the disk's end).
 * Overlaps and any order are accepted: the result covers exactly the blocks that the input touches.
 * The plain way, with the whole list in memory: what the streaming ways are compared with.
 * @param virtualSize size of the disk in bytes
 */
export function normaliseExtents(
  extents: readonly Extent[],
  virtualSize: number,
  field = 'changed_extents',
): Extent[] {
  const blocks = extents.map((extent, index) => {
    checkExtent(extent, virtualSize, `${field}[${index}]`);
    return {
      first: Math.floor(extent.offset / BLOCK_SIZE),
      end: Math.ceil((extent.offset + extent.length) / BLOCK_SIZE),
    };
  });
  blocks.sort((a, b) => a.first - b.first);
  const merged: { first: number; end: number }[] = [];
  for (const block of blocks) {
    const last = merged.at(-1);
    if (last && block.first <= last.end) last.end = Math.max(last.end, block.end);
    else merged.push({ ...block });
  }
  return merged.map(({ first, end }) => {
    const offset = first * BLOCK_SIZE;
    return { offset, length: Math.min(end * BLOCK_SIZE, virtualSize) - offset };
  });
}
