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

/** What a backup costs that has next to nothing to copy. */
export async function fixedCostContest(bed: Bed, sizes: Sizes, vm: Vm): Promise<FixedCost> {
  const one = changeSet(sizes.virtualBytes, 1);
  const prepare = () => overwrite(vm.disk, one);
  const { ours } = await compete(sizes, {
    settle: bed.settle,
    prepare,
    contenders: { ours: () => bed.backup(vm, one) },
  });
  const parts = await traceParts(bed, vm, one, { ...sizes, prepare });
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
    ],
  };
}
