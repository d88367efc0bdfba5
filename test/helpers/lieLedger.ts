import { expect } from 'chai';
import { createBlockSampler } from '../../src/datapath/audit/blockSampler.js';
import { createSeededRandom } from '../../src/datapath/audit/seededRandom.js';
import { DIGEST_BYTES } from '../../src/datapath/digests/index.js';
import type { Tags } from './lyingDisk.js';

/** What an audit could have seen: the blocks that nobody named, beside what the parent has of them. */
export interface Unnamed {
  /** Numbers of the blocks that the tracker calls unchanged, in order. */
  blocks: readonly number[];
  /** What the parent has, by block. */
  held: Tags;
  /** What the disk has, by block. */
  now: Tags;
}

/** The blocks among them that have changed: the lie. */
export function liesAmong({ blocks, held, now }: Unnamed): number[] {
  return blocks.filter((block) => (held[block] ?? 0) !== now[block]);
}

/** Draws again what the audit of a backup has drawn, by the seed in its manifest. */
export function drawAgain({ blocks, held }: Unnamed, size: number, seed: string): number[] {
  const sampler = createBlockSampler(size, createSeededRandom(seed));
  for (const first of blocks) {
    const run = { first, count: 1 };
    if (held[first]) sampler.offer({ kind: 'data', ...run, digests: Buffer.alloc(DIGEST_BYTES) });
    else sampler.offer({ kind: 'zero', ...run });
  }
  return sampler.take().map(({ block }) => block);
}

/**
 * How likely it is that an audit of so many blocks sees the lie: three of four are drawn from blocks with data, and the last
 * one of those is looked at in any case.
 */
export function chanceOf(unnamed: Unnamed, size: number): number {
  const { blocks, held } = unnamed;
  const lies = liesAmong(unnamed);
  const hasData = (block: number) => (held[block] ?? 0) !== 0;
  const last = blocks.findLast(hasData);
  if (last !== undefined && lies.includes(last)) return 1;
  const data = blocks.filter(hasData).length;
  const zeros = blocks.length - data;
  const dataLies = lies.filter(hasData).length;
  const ofData = Math.min(data, Math.max(Math.ceil(size * 0.75), size - zeros));
  const ofZeros = Math.min(zeros, size - ofData);
  return 1 - missed(data, dataLies, ofData) * missed(zeros, lies.length - dataLies, ofZeros);
}

/** The chance that none of `marked` of `all` is among `drawn`, without replacement. */
function missed(all: number, marked: number, drawn: number): number {
  let chance = 1;
  for (let n = 0; n < drawn; n++) chance *= Math.max(0, all - marked - n) / (all - n);
  return chance;
}

/** Audits of lies of one size: how many were caught, and how many should have been. */
export interface LieCount {
  audits: number;
  caught: number;
  expected: number;
  /** Sum of p(1 - p). */
  variance: number;
}

/** Counts by the part of the disk that was lied about: up to 0.15 %, 1.5 %, and more; honest disks are 0. */
export function createLieCounts() {
  const counts = new Map<string, LieCount>();
  return {
    counts,
    add(part: number, chance: number, caught: boolean) {
      const size = part === 0 ? 'none' : part < 0.0015 ? '0.1 %' : part < 0.015 ? '1 %' : '10 %';
      const count = counts.get(size) ?? { audits: 0, caught: 0, expected: 0, variance: 0 };
      count.audits++;
      count.caught += caught ? 1 : 0;
      count.expected += chance;
      count.variance += chance * (1 - chance);
      counts.set(size, count);
    },
    /** Demands that about as many were caught as should have been: within four standard deviations. */
    expectAsLikely() {
      for (const [size, { audits, caught, expected, variance }] of counts) {
        const margin = 4 * Math.sqrt(variance) + 1e-9;
        expect(caught, `caught of ${audits} audits of lies of ${size}`).to.be.closeTo(expected, margin);
      }
    },
  };
}
