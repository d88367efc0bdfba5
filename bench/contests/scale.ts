import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Backed, Bed, Vm } from '../bed.js';
import { compete } from '../contest.js';
import { changeSet, cutFine, fineChangeSet, makeReferenceDisk, overwrite } from '../disks.js';
import type { Row } from '../row.js';
import { FINER, LARGER, type Sizes } from '../sizes.js';

/** The same amount of data and of changes on a disk that is larger, spread over all of it. */
export async function largerContest(bed: Bed, sizes: Sizes, disk: string): Promise<Row[]> {
  const largeBytes = sizes.virtualBytes * LARGER;
  const largeDisk = join(bed.fleet.sources, 'larger.raw');
  await makeReferenceDisk(largeDisk, { ...sizes, virtualBytes: largeBytes });
  const small: Vm = { name: 'same', disk, changeId: 0 };
  const large: Vm = { name: 'larger', disk: largeDisk, changeId: 0 };
  const fulls = [await bed.backup(small, 'full'), await bed.backup(large, 'full')];
  const changes = changeSet(sizes.virtualBytes, sizes.changes);
  const largeChanges = changeSet(largeBytes, sizes.changes);
  const { same, larger } = await compete(sizes, {
    settle: bed.settle,
    prepare: async () => {
      await overwrite(disk, changes);
      await overwrite(largeDisk, largeChanges);
    },
    contenders: {
      same: () => bed.backup(small, changes),
      larger: () => bed.backup(large, largeChanges),
    },
  });
  for (const { vmContextId } of fulls) await bed.removeFiles(vmContextId);
  await rm(largeDisk);
  return [
    {
      what: `as many changed blocks, spread over a disk ${LARGER} times as large`,
      against: 'on the reference disk',
      ours: larger,
      theirs: same,
      goal: 1.15,
      bounds:
        'The fixed cost of more metadata: each L2 table of the overlay covers 512 MiB and is allocated, written and checked.',
    },
  ];
}

/** More and smaller extents: in the same blocks, and each in a block of its own. */
export async function finerContest(bed: Bed, sizes: Sizes, disk: string): Promise<Row[]> {
  const blocks = changeSet(sizes.virtualBytes, sizes.changes);
  const cut = cutFine(blocks, FINER);
  const scattered = fineChangeSet(sizes.virtualBytes, sizes.changes * FINER, FINER);
  let full: Backed | undefined;
  let vm: Vm = { name: '', disk, changeId: 0 };
  const removeLast = async () => full && bed.removeFiles(full.vmContextId);
  const timings = await compete(sizes, {
    settle: bed.settle,
    prepare: async (round) => {
      // Scattered extents make an increment nearly as large as a full: they cannot all be kept.
      await removeLast();
      vm = { name: `finer-${round}`, disk, changeId: 0 };
      full = await bed.backup(vm, 'full');
    },
    contenders: {
      blocks: () => bed.backup(vm, blocks),
      cut: () => bed.backup(vm, cut),
      scattered: () => bed.backup(vm, scattered),
    },
  });
  await removeLast();
  const against = `${blocks.length} extents of 64 KiB`;
  return [
    {
      what: `${cut.length} extents of 1/${FINER} size, ${FINER} to a block`,
      against,
      ours: timings.cut,
      theirs: timings.blocks,
      goal: 2,
      bounds: 'Reading the list.',
    },
    {
      what: `${scattered.length} extents of 1/${FINER} size, each in a block of its own`,
      against,
      ours: timings.scattered,
      theirs: timings.blocks,
      goal: 2,
      bounds:
        `The bytes: a QCOW2 cluster is 64 KiB, so ${scattered.length} scattered extents are ` +
        `${Math.round((scattered.length * 64) / 1024)} MiB to be read, digested and written, ${FINER} times as much as ` +
        'on the other side. The number of extents costs next to nothing (line above).',
    },
  ];
}
