import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Extent } from '../../src/shared/extents.js';
import type { Backed, Bed, Vm } from '../bed.js';
import { compete } from '../contest.js';
import { changeSet, overwrite } from '../disks.js';
import { type Row, upTo } from '../row.js';
import type { Sizes } from '../sizes.js';
import { run, timeFile } from '../tools.js';

const BOUNDS =
  'Processor time: about half of it is the copy through one `qemu-nbd` (a flat profile: system calls, promises, BLAKE3), ' +
  'the rest the start of the tools and the content id, which walks the digest indexes of all layers.';

/** An increment of a known change set against nbdkit's extentlist filter that feeds `qemu-img convert -n -B`. */
export async function changesContest(bed: Bed, sizes: Sizes, vm: Vm, full: Backed): Promise<Row[]> {
  const extents = changeSet(sizes.virtualBytes, sizes.changes);
  const list = join(bed.scratch, 'extents');
  await writeFile(list, extentList(extents, sizes.virtualBytes));
  let parent = await bed.image(full.id);
  let latest = parent;
  const overlay = join(bed.scratch, 'overlay.qcow2');
  const { ours, theirs } = await compete(sizes, {
    settle: bed.settle,
    prepare: async () => {
      parent = latest;
      await overwrite(vm.disk, extents);
    },
    contenders: {
      ours: async () => {
        const backed = await bed.backup(vm, extents);
        latest = await bed.image(backed.id);
        return backed;
      },
      theirs: () => timeFile(overlay, () => convertExtents(vm.disk, list, parent, overlay)),
    },
  });
  await rm(list);
  const what = `incremental of ${sizes.changes} changed blocks by a change list, request to \`completed\``;
  const filter = "nbdkit's extentlist filter and `qemu-img convert -n -B`";
  return [
    {
      what,
      against: `${filter}, not flushed`,
      ours,
      theirs: upTo('unflushed', theirs),
      goal: 0.6,
      bounds: BOUNDS,
    },
    { what, against: `the same, then fsync`, ours, theirs, bounds: BOUNDS },
  ];
}

/** Changed ranges are data; clean ones are holes that are not zero, which `convert -B` leaves to the backing file. */
function extentList(extents: readonly Extent[], virtualBytes: number): string {
  const lines: string[] = [];
  let at = 0;
  for (const { offset, length } of extents) {
    if (offset > at) lines.push(`${at} ${offset - at} hole`);
    lines.push(`${offset} ${length}`);
    at = offset + length;
  }
  if (at < virtualBytes) lines.push(`${at} ${virtualBytes - at} hole`);
  return `${lines.join('\n')}\n`;
}

async function convertExtents(disk: string, list: string, parent: string, overlay: string): Promise<void> {
  await run('qemu-img', 'create', '-q', '-f', 'qcow2', '-b', parent, '-F', 'qcow2', overlay);
  await run(
    'nbdkit',
    '-r',
    '-U',
    '-',
    '--filter=extentlist',
    'file',
    disk,
    `extentlist=${list}`,
    '--run',
    // The paths are our own, without characters that a shell would take for anything else.
    `qemu-img convert -n -B '${parent}' -f raw -O qcow2 "$uri" '${overlay}'`,
  );
}
