import type { Bed, Vm } from '../bed.js';
import { compete } from '../contest.js';
import { changeSet, overwrite } from '../disks.js';
import type { Row } from '../row.js';
import type { Sizes } from '../sizes.js';
import { type Parts, traceParts } from '../parts.js';

export interface FixedCost {
  rows: Row[];
  parts: Parts[];
}

/**
 * What a backup costs that has next to nothing to copy: on a full and a few increments of one block, and on the chain
 * that the other contests have made, whose layers all take part in its content id.
 */
export async function fixedCostContest(bed: Bed, sizes: Sizes, used: Vm): Promise<FixedCost> {
  const one = changeSet(sizes.virtualBytes, 1);
  const prepare = () => overwrite(used.disk, one);
  const vm: Vm = { name: 'fixed', disk: used.disk, changeId: 0 };
  const full = await bed.backup(vm, 'full');
  const { ours, onUsed } = await compete(sizes, {
    settle: bed.settle,
    prepare,
    contenders: { ours: () => bed.backup(vm, one), onUsed: () => bed.backup(used, one) },
  });
  const parts = await traceParts(bed, vm, one, { ...sizes, prepare });
  await bed.removeFiles(full.vmContextId);
  return {
    parts,
    rows: [
      {
        what: 'fixed cost: incremental with one changed block, request to `completed`',
        against: '',
        ours,
        goal: 0.35,
        bounds:
          'Starting the QEMU tools and waiting for the disk (fsync), one after the other; see the parts below.',
      },
      {
        what: `the same on a chain of ${used.changeId - sizes.runs - sizes.warmUps} with large increments`,
        against: '',
        ours: onUsed,
        bounds: '',
      },
    ],
  };
}
