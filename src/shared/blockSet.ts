import { BLOCK_SIZE, checkExtent, type Extent } from './extents.js';

/** A page stands for 65,536 units: 4 GiB of the disk in 8 KiB, as long as a unit is one block. */
const PAGE_UNITS = 65_536;
const WORD_BITS = 32;
const FULL_WORD = 0xffff_ffff;
/** 32 MiB in all: changes all over a disk of 16 TiB, block by block. */
const MOST_PAGES = 4_096;

/** Which blocks of a disk are in a set, given by extents in any order: a change list of any length in bounded memory. */
export interface BlockSet {
  /**
   * Adds the blocks that an extent touches.
   * @param field names the extent in an error
   * @throws extents_invalid, extents_out_of_range
   */
  add(extent: Extent, field: string): void;
  /** The blocks in the set, as extents in order that do not touch; the last one ends where the last extent did. */
  extents(): Generator<Extent, void, undefined>;
}

/**
 * A set of blocks as a bitmap in pages, of which only those are there that have a bit. Where even that would be more than
 * 32 MiB (plus 1 MiB for the table), the unit is doubled: blocks beside changed ones are then called changed as well,
 * which costs reading and never correctness.
 * @param virtualSize size of the disk in bytes, where it is known
 */
export function createBlockSet(virtualSize = Number.MAX_SAFE_INTEGER, mostPages = MOST_PAGES): BlockSet {
  let pages = new Map<number, Uint32Array>();
  let unit = BLOCK_SIZE;
  let end = 0;
  const coarsen = () => {
    const finer = pages;
    pages = new Map();
    unit *= 2;
    for (const [number, page] of finer) halve(page, number, pages);
  };
  /** The page for writing; undefined after the set was made coarser to make room for it. */
  const pageAt = (number: number): Uint32Array | undefined => {
    const known = pages.get(number);
    if (known) return known;
    if (pages.size >= mostPages) {
      coarsen();
      return undefined;
    }
    const page = new Uint32Array(PAGE_UNITS / WORD_BITS);
    pages.set(number, page);
    return page;
  };
  return {
    add({ offset, length }, field) {
      checkExtent({ offset, length }, virtualSize, field);
      end = Math.max(end, offset + length);
      let at = offset;
      while (at < offset + length) {
        const first = Math.floor(at / unit);
        const last = Math.floor((offset + length - 1) / unit);
        const number = Math.floor(first / PAGE_UNITS);
        const page = pageAt(number);
        if (!page) continue;
        const base = number * PAGE_UNITS;
        setBits(page, first - base, Math.min(last - base, PAGE_UNITS - 1));
        at = (base + PAGE_UNITS) * unit;
      }
    },
    *extents() {
      for (const { first, after } of joinRuns(pages)) {
        const offset = first * unit;
        yield { offset, length: Math.min(after * unit, end) - offset };
      }
    },
  };
}

/** Sets the bits from `first` to `last`, both included. */
function setBits(page: Uint32Array, first: number, last: number): void {
  const from = first >>> 5;
  const to = last >>> 5;
  const head = FULL_WORD << (first & 31);
  const tail = FULL_WORD >>> (31 - (last & 31));
  if (from === to) {
    page[from] = wordOf(page, from) | (head & tail);
    return;
  }
  page[from] = wordOf(page, from) | head;
  page.fill(FULL_WORD, from + 1, to);
  page[to] = wordOf(page, to) | tail;
}

/** Writes a page into the half of a page of units twice as big. */
function halve(page: Uint32Array, number: number, coarser: Map<number, Uint32Array>): void {
  const target = coarser.get(number >>> 1) ?? new Uint32Array(PAGE_UNITS / WORD_BITS);
  coarser.set(number >>> 1, target);
  const half = (number & 1) * (target.length / 2);
  for (let i = 0; i < target.length / 2; i++) {
    const low = halveWord(wordOf(page, 2 * i));
    const high = halveWord(wordOf(page, 2 * i + 1));
    target[half + i] = low | (high << 16);
  }
}

/** 16 bits, one for each pair of bits of which any is set (Hacker's Delight, compress with a fixed mask). */
function halveWord(word: number): number {
  let pairs = (word | (word >>> 1)) & 0x5555_5555;
  pairs = (pairs | (pairs >>> 1)) & 0x3333_3333;
  pairs = (pairs | (pairs >>> 2)) & 0x0f0f_0f0f;
  pairs = (pairs | (pairs >>> 4)) & 0x00ff_00ff;
  return (pairs | (pairs >>> 8)) & 0xffff;
}

/** Runs of set units: from `first` to before `after`. */
function* joinRuns(
  pages: ReadonlyMap<number, Uint32Array>,
): Generator<{ first: number; after: number }, void, undefined> {
  let held: { first: number; after: number } | undefined;
  for (const [number, page] of [...pages].sort(([a], [b]) => a - b)) {
    for (let word = 0; word < page.length; word++) {
      let bits = wordOf(page, word);
      let at = number * PAGE_UNITS + word * WORD_BITS;
      while (bits !== 0) {
        const skipped = trailingZeros(bits);
        const count = skipped === 0 && bits === FULL_WORD ? WORD_BITS : trailingZeros(~(bits >>> skipped));
        const first = at + skipped;
        if (held?.after === first) held.after = first + count;
        else {
          if (held) yield held;
          held = { first, after: first + count };
        }
        at = first + count;
        bits = skipped + count >= WORD_BITS ? 0 : bits >>> (skipped + count);
      }
    }
  }
  if (held) yield held;
}

/** Of a word that is not 0. */
function trailingZeros(word: number): number {
  return 31 - Math.clz32(word & -word);
}

/** As an unsigned number; pages are never read beyond their end. */
function wordOf(page: Uint32Array, index: number): number {
  return page[index] ?? 0;
}
