import { join } from 'node:path';
import type { Bed } from '../bed.js';
import { compete } from '../contest.js';
import type { Row } from '../row.js';
import type { Sizes } from '../sizes.js';
import { run, timeFile } from '../tools.js';

const OURS = 'full backup, request to `completed`';
const BOUNDS =
  'After the same conversion, the image is read back for its digests (from the page cache, on two threads, while the fsync ' +
  'runs) and checked; see below how long each takes.';

/** A full backup against the two ways in which qemu-img would make the same file, flushed. */
export async function fullContest(bed: Bed, sizes: Sizes, disk: string): Promise<Row[]> {
  const file = join(bed.scratch, 'full.qcow2');
  const convert = (...options: string[]) =>
    timeFile(file, () => run('qemu-img', 'convert', ...options, '-f', 'raw', '-O', 'qcow2', disk, file));
  const { ours, plain, direct } = await compete(sizes, {
    settle: bed.settle,
    contenders: {
      ours: async (round) => {
        const backed = await bed.backup({ name: `full-${round}`, disk, changeId: 0 }, 'full');
        await bed.removeFiles(backed.vmContextId);
        return backed;
      },
      plain: () => convert(),
      direct: () => convert('-W', '-m', '16', '-t', 'none', '-T', 'none'),
    },
  });
  return [
    {
      what: OURS,
      against: '`qemu-img convert`, then fsync',
      ours,
      theirs: plain,
      goal: 1.0,
      bounds: BOUNDS,
    },
    {
      what: OURS,
      against: '`qemu-img convert -W -m 16 -t none -T none`, then fsync',
      ours,
      theirs: direct,
      goal: 1.3,
      bounds: BOUNDS,
    },
  ];
}
