import { copyFile, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { Bed, Vm } from '../bed.js';
import { compete, timed } from '../contest.js';
import { changeSet, overwrite } from '../disks.js';
import type { Row } from '../row.js';
import type { Sizes } from '../sizes.js';
import { run } from '../tools.js';

/** Merging one increment into its full: the full is removed, the increment takes it in. */
export async function mergeContest(bed: Bed, sizes: Sizes, disk: string): Promise<Row[]> {
  const vm: Vm = { name: 'merge', disk, changeId: 0 };
  let full = await bed.backup(vm, 'full');
  let increment = full;
  const copies = { full: '', increment: '' };
  const { ours, theirs } = await compete(sizes, {
    settle: bed.settle,
    prepare: async (round) => {
      full = increment;
      const changes = changeSet(sizes.virtualBytes, sizes.changes, round + 1);
      await overwrite(disk, changes);
      increment = await bed.backup(vm, changes);
      for (const [name, { id }] of Object.entries({ full, increment })) {
        const image = await bed.image(id);
        const copy = join(bed.scratch, basename(image));
        await rm(copy, { force: true });
        await copyFile(image, copy);
        copies[name as keyof typeof copies] = copy;
      }
    },
    contenders: {
      ours: () => bed.remove(full.id),
      theirs: async () => {
        const timing = await timed(() => run('qemu-img', 'commit', '-f', 'qcow2', '-d', copies.increment));
        for (const copy of Object.values(copies)) await rm(copy);
        return timing;
      },
    },
  });
  await bed.removeFiles(full.vmContextId);
  return [
    {
      what: `merge of one increment of ${sizes.changes} blocks into its full, request to \`completed\`, proof included`,
      against: '`qemu-img commit` of the same increment, nothing read back',
      ours,
      theirs,
      goal: 1.5,
      bounds:
        'Reading the whole merged point back by direct I/O and digesting it: the commit touches only what has changed, the ' +
        'proof is of every block.',
    },
  ];
}
