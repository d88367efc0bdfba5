import type { RequestedType } from '../../../src/entities/index.js';
import { BLOCK_SIZE, type Extent } from '../../../src/shared/extents.js';
import type { Random } from '../random.js';

/** A backup that will be asked for, and what the disk holds at that moment. */
export interface PlannedPoint {
  type: RequestedType;
  /** Index of the point since which the change list is; absent where the disk is to be compared. */
  since?: number;
  changes: Extent[];
  /** A version for each block of 64 KiB; 0 is a block of zeros. */
  versions: readonly number[];
}

export interface PlannedChain {
  /** Name of the VM, which has one disk. */
  name: string;
  points: PlannedPoint[];
}

const SIZES_IN_BLOCKS = [16, 32, 64];
const MOST_FIRST_BLOCKS = 8;
const MOST_CHANGED_BLOCKS = 3;
const GROWTH_BLOCKS = 4;
const PERCENT = { full: 8, differential: 12, zero: 15, growth: 4, list: 60 };

/** Chains of small disks: fulls, increments and differentials, by change lists and by comparison, zeroed blocks, growth. */
export function planChains(random: Random, chains: number, backups: number): PlannedChain[] {
  return Array.from({ length: chains }, (_, index) => planChain(random, `vm-${index}`, backups));
}

function planChain(random: Random, name: string, backups: number): PlannedChain {
  const chance = (percent: number) => random.integer(1, 100) <= percent;
  const versions: number[] = Array.from({ length: random.pick(SIZES_IN_BLOCKS) }, () => 0);
  for (let count = random.integer(1, MOST_FIRST_BLOCKS); count > 0; count--) {
    versions[random.integer(0, versions.length - 1)] = 1;
  }
  const points: PlannedPoint[] = [{ type: 'auto', changes: [], versions: [...versions] }];
  let full = 0;
  while (points.length < backups) {
    const index = points.length;
    if (chance(PERCENT.growth)) versions.push(...Array.from({ length: GROWTH_BLOCKS }, () => index + 1));
    for (let count = random.integer(0, MOST_CHANGED_BLOCKS); count > 0; count--) {
      versions[random.integer(0, versions.length - 1)] = chance(PERCENT.zero) ? 0 : index + 1;
    }
    const type = chance(PERCENT.full)
      ? 'full'
      : chance(PERCENT.differential)
        ? 'differential'
        : 'incremental';
    const base = type === 'differential' ? full : index - 1;
    const changes = changedSince(points[base]?.versions ?? [], versions);
    const listed = type !== 'full' && changes.length > 0 && chance(PERCENT.list);
    points.push({ type, changes, versions: [...versions], ...(listed ? { since: base } : {}) });
    if (type === 'full') full = index;
  }
  return { name, points };
}

function changedSince(before: readonly number[], now: readonly number[]): Extent[] {
  return now.flatMap((version, block) =>
    version === before[block] ? [] : [{ offset: block * BLOCK_SIZE, length: BLOCK_SIZE }],
  );
}
