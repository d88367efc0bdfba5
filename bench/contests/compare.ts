import { join } from 'node:path';
import type { Backed, Bed, Vm } from '../bed.js';
import { compete } from '../contest.js';
import { changeSet, overwrite } from '../disks.js';
import { type Row, upTo } from '../row.js';
import type { Sizes } from '../sizes.js';
import { run, timeFile } from '../tools.js';

const BOUNDS =
  'Everything that is allocated on the source is read by direct I/O, at the speed of the disk (`qemu-img map` below lasts as ' +
  'long as that), and digested. The other side finds source and parent in the page cache here, because they were just ' +
  'written; a disk in use is mostly not there.';

/** An increment without a change list against a rebase of an overlay from the source onto the parent. */
export async function compareContest(bed: Bed, sizes: Sizes, vm: Vm, last: Backed): Promise<Row[]> {
  const changes = changeSet(sizes.virtualBytes, sizes.changes);
  let parent = await bed.image(last.id);
  let latest = parent;
  const overlay = join(bed.scratch, 'rebased.qcow2');
  const { ours, theirs } = await compete(sizes, {
    settle: bed.settle,
    prepare: async () => {
      parent = latest;
      await overwrite(vm.disk, changes);
    },
    contenders: {
      ours: async () => {
        const backed = await bed.backup(vm, 'compare');
        latest = await bed.image(backed.id);
        return backed;
      },
      theirs: () =>
        timeFile(overlay, async () => {
          await run('qemu-img', 'create', '-q', '-f', 'qcow2', '-b', vm.disk, '-F', 'raw', overlay);
          await run('qemu-img', 'rebase', '-f', 'qcow2', '-b', parent, '-F', 'qcow2', overlay);
        }),
    },
  });
  const what = `incremental of ${sizes.changes} changed blocks without a change list (digest compare)`;
  return [
    {
      what,
      against: '`qemu-img rebase` of an overlay from source to parent, not flushed',
      ours,
      theirs: upTo('unflushed', theirs),
      goal: 0.5,
      bounds: BOUNDS,
    },
  ];
}
