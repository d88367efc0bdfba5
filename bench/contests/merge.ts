import { copyFile, rm, symlink } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { BLOCK_SIZE } from '../../src/shared/extents.js';
import type { Bed, Vm } from '../bed.js';
import { compete, timed } from '../contest.js';
import { changeSet, makeReferenceDisk, overwrite } from '../disks.js';
import type { Row } from '../row.js';
import type { MergeSizes, Sizes } from '../sizes.js';
import { run } from '../tools.js';

/** Merging one increment into its full, and into another increment, which stands on a full that stays; at two sizes. */
export async function mergeContests(bed: Bed, { merges }: Sizes): Promise<Row[]> {
  const [small, useful] = merges;
  return [...(await mergesOf(bed, 'small', small)), ...(await mergesOf(bed, 'useful', useful))];
}

async function mergesOf(bed: Bed, name: string, sizes: MergeSizes): Promise<Row[]> {
  const disk = join(bed.fleet.sources, `merge-${name}.raw`);
  await makeReferenceDisk(disk, sizes);
  const intoFull = await merge(bed, sizes, { name: `merge-${name}`, disk, changeId: 0 }, 'full');
  const intoIncrement = await merge(bed, sizes, { name: `middle-${name}`, disk, changeId: 0 }, 'increment');
  await rm(disk);
  const against = '`qemu-img commit` of the same increment, nothing read back';
  const mib = (bytes: number) => `${Math.round(bytes / 1024 ** 2)} MiB`;
  const what = `merge of one increment of ${mib(sizes.changes * BLOCK_SIZE)} on a disk of ${mib(sizes.virtualBytes)}`;
  return [
    {
      ...intoFull,
      what: `${what} into its full, request to \`completed\`, proof included`,
      against,
      goal: 1.5,
      bounds:
        'Reading the whole merged point back by direct I/O and digesting it: the commit touches only what has changed, the ' +
        'proof is of every block.',
    },
    {
      ...intoIncrement,
      what: `${what} into an increment in the middle of a chain`,
      against,
      goal: 1.5,
      bounds:
        'Of little, the fixed cost of a job. Of much, the increment below is copied first, and all that the merged file holds ' +
        'is read back by direct I/O; what lies below is proved by its digests.',
    },
  ];
}

/** The backup below is removed in each round: the new increment takes it in, and is below in the next one. */
async function merge(
  bed: Bed,
  sizes: MergeSizes,
  vm: Vm,
  into: 'full' | 'increment',
): Promise<Pick<Row, 'ours' | 'theirs'>> {
  const { disk } = vm;
  const change = async (seed: number) => {
    const changes = changeSet(sizes.changingBytes, sizes.changes, seed);
    await overwrite(disk, changes);
    return bed.backup(vm, changes);
  };
  const full = await bed.backup(vm, 'full');
  const standIn = join(bed.scratch, basename(await bed.image(full.id)));
  // The copy of an increment refers to it by name.
  if (into === 'increment') await symlink(await bed.image(full.id), standIn);
  let top = into === 'full' ? full : await change(1_000);
  let below = top;
  let copies: string[] = [];
  const { ours, theirs } = await compete(sizes, {
    settle: bed.settle,
    prepare: async (round) => {
      below = top;
      top = await change(round + 1);
      copies = [];
      for (const { id } of [below, top]) {
        const image = await bed.image(id);
        const copy = join(bed.scratch, basename(image));
        await rm(copy, { force: true });
        await copyFile(image, copy);
        copies.push(copy);
      }
    },
    contenders: {
      ours: () => bed.remove(below.id),
      theirs: async () => {
        const timing = await timed(() => run('qemu-img', 'commit', '-f', 'qcow2', '-d', copies[1] ?? ''));
        for (const copy of copies) await rm(copy);
        return timing;
      },
    },
  });
  await rm(standIn, { force: true });
  await bed.removeFiles(full.vmContextId);
  return { ours, theirs };
}
