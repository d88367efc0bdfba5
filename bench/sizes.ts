const MIB = 1024 * 1024;
const GIB = 1024 * MIB;

/** What is merged: increments of a disk of its own. Sizes in bytes. */
export interface MergeSizes {
  virtualBytes: number;
  dataBytes: number;
  pieceBytes: number;
  /** Random blocks of 64 KiB that change between two backups, and the first part of the disk, in which they all lie. */
  changes: number;
  changingBytes: number;
  runs: number;
  warmUps: number;
}

/** What the benchmarks work on. Sizes in bytes. */
export interface Sizes {
  name: 'reference' | 'quick' | 'tiny';
  /** The guest disk, and how much of it holds random data, in pieces that are spread over it. */
  virtualBytes: number;
  dataBytes: number;
  pieceBytes: number;
  /** Random blocks of 64 KiB that change between two backups. */
  changes: number;
  /** Backups in the long chain, and blocks that change between two of them. */
  chain: number;
  chainChanges: number;
  /** Merges: one whose fixed cost decides, and one of a size at which merging is worth the while. */
  merges: [small: MergeSizes, useful: MergeSizes];
  /** Jobs that copy nothing. */
  jobs: number;
  /** Chains of the two catalogues that are compared, backups of each chain, and questions in a round. */
  catalogue: { small: number; large: number; backups: number; questions: number };
  /** Sparse disks whose backups are compared by the worker's memory: a usual one and a very large one. */
  sparseBytes: [usual: number, large: number];
  /** Measured rounds of each contest, and rounds before them that are not counted: a worker lives long, its code is warm. */
  runs: number;
  warmUps: number;
  /** What has to be free on the disk. */
  roomBytes: number;
}

/** A disk this many times as large, with the same amount of data and of changes. */
export const LARGER = 8;
/** This many times as many extents, each of this part of the size. */
export const FINER = 10;

const SMALL_MERGE: MergeSizes = {
  virtualBytes: 512 * MIB,
  dataBytes: 128 * MIB,
  pieceBytes: MIB,
  changes: 200,
  changingBytes: 512 * MIB,
  runs: 5,
  warmUps: 2,
};

/** Increments of 512 MiB; the merged one grows towards a GiB. The worker is warm by then. */
const USEFUL_MERGE: MergeSizes = {
  virtualBytes: 4 * GIB,
  dataBytes: 2 * GIB,
  pieceBytes: MIB,
  changes: 8_192,
  changingBytes: GIB,
  runs: 3,
  warmUps: 1,
};

export const REFERENCE: Sizes = {
  name: 'reference',
  virtualBytes: 8 * GIB,
  dataBytes: 2 * GIB,
  pieceBytes: MIB,
  changes: 3_200,
  chain: 30,
  chainChanges: 320,
  merges: [SMALL_MERGE, USEFUL_MERGE],
  jobs: 2_000,
  catalogue: { small: 100, large: 10_000, backups: 100, questions: 200 },
  sparseBytes: [10 * GIB, 10 * 1024 * GIB],
  runs: 5,
  warmUps: 2,
  roomBytes: 16 * GIB,
};

/** A look at all of it in about a minute; the ratios say little. */
export const QUICK: Sizes = {
  ...REFERENCE,
  name: 'quick',
  virtualBytes: 512 * MIB,
  dataBytes: 128 * MIB,
  changes: 200,
  chain: 10,
  chainChanges: 20,
  merges: [
    { ...SMALL_MERGE, runs: 3, warmUps: 1 },
    {
      ...USEFUL_MERGE,
      virtualBytes: GIB,
      dataBytes: 256 * MIB,
      changes: 2_048,
      changingBytes: 256 * MIB,
      runs: 2,
    },
  ],
  jobs: 400,
  catalogue: { small: 100, large: 1_000, backups: 100, questions: 100 },
  runs: 3,
  warmUps: 1,
  roomBytes: 2 * GIB,
};

const TINY_MERGE: MergeSizes = {
  ...SMALL_MERGE,
  virtualBytes: 16 * MIB,
  dataBytes: 4 * MIB,
  changingBytes: 16 * MIB,
  runs: 1,
  warmUps: 0,
};

/** The same, with as many measured rounds of each contest. */
export function withRuns(sizes: Sizes, runs: number): Sizes {
  const [small, useful] = sizes.merges;
  return {
    ...sizes,
    runs,
    merges: [
      { ...small, runs },
      { ...useful, runs },
    ],
  };
}

/** Shows that the benchmarks run; the numbers say nothing. */
export const TINY: Sizes = {
  ...REFERENCE,
  name: 'tiny',
  virtualBytes: 16 * MIB,
  dataBytes: 4 * MIB,
  changes: 10,
  chain: 3,
  chainChanges: 2,
  merges: [
    { ...TINY_MERGE, changes: 10 },
    { ...TINY_MERGE, changes: 100 },
  ],
  jobs: 100,
  catalogue: { small: 5, large: 20, backups: 30, questions: 5 },
  sparseBytes: [64 * MIB, GIB],
  runs: 1,
  warmUps: 0,
  roomBytes: 512 * MIB,
};
