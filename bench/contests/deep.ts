import type { Bed } from '../bed.js';
import { compete, timed } from '../contest.js';
import type { Row } from '../row.js';
import type { Sizes } from '../sizes.js';
import { run } from '../tools.js';

/** Deep validation of a chain of one full, against the mere reading of its file. */
export async function deepContest(bed: Bed, sizes: Sizes, disk: string): Promise<Row[]> {
  const { id, vmContextId } = await bed.backup({ name: 'deep', disk, changeId: 0 }, 'full');
  const { chainId } = await bed.row(id);
  const image = await bed.image(id);
  const { ours, theirs } = await compete(sizes, {
    settle: bed.settle,
    contenders: {
      ours: () => bed.validate(chainId, 'deep'),
      theirs: () => timed(() => run('dd', `if=${image}`, 'of=/dev/null', 'bs=1M', 'iflag=direct')),
    },
  });
  await bed.removeFiles(vmContextId);
  return [
    {
      what: 'deep validation of a full, request to `completed`',
      against: '`dd bs=1M iflag=direct` of the same file',
      ours,
      theirs,
      goal: 1.25,
      bounds: 'Digests of all that is read, by idle threads, and before that what a quick validation does.',
    },
  ];
}
