import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Bed, Vm } from '../bed.js';
import { compete, timed } from '../contest.js';
import { changeSet, overwrite } from '../disks.js';
import { type Row, upTo } from '../row.js';
import type { Sizes } from '../sizes.js';
import { run, timeFile } from '../tools.js';

interface LongChain {
  chainId: string;
  vmContextId: string;
  topId: string;
  /** Absolute paths, full first. */
  images: string[];
}

/** Validation and restore of a long chain. */
export async function chainContests(bed: Bed, sizes: Sizes, disk: string): Promise<Row[]> {
  const chain = await buildChain(bed, sizes, disk);
  const rows = [
    ...(await validationContest(bed, sizes, chain)),
    ...(await restoreContest(bed, sizes, chain)),
  ];
  await bed.removeFiles(chain.vmContextId);
  return rows;
}

async function buildChain(bed: Bed, sizes: Sizes, disk: string): Promise<LongChain> {
  const vm: Vm = { name: 'chain', disk, changeId: 0 };
  const { id, vmContextId } = await bed.backup(vm, 'full');
  const { chainId } = await bed.row(id);
  const images = [await bed.image(id)];
  let topId = id;
  while (images.length < sizes.chain) {
    const changes = changeSet(sizes.virtualBytes, sizes.chainChanges, images.length);
    await overwrite(disk, changes);
    topId = (await bed.backup(vm, changes)).id;
    images.push(await bed.image(topId));
  }
  return { chainId, vmContextId, topId, images };
}

async function validationContest(bed: Bed, sizes: Sizes, { chainId, images }: LongChain): Promise<Row[]> {
  const { ours, theirs } = await compete(sizes, {
    settle: bed.settle,
    contenders: {
      ours: () => bed.validate(chainId, 'quick'),
      theirs: () =>
        timed(async () => {
          for (const image of images) await run('qemu-img', 'check', '-f', 'qcow2', image);
        }),
    },
  });
  return [
    {
      what: `quick validation of a chain of ${images.length}, request to \`completed\``,
      against: `${images.length} calls of \`qemu-img check\`, one after the other`,
      ours,
      theirs,
      goal: 1.1,
      bounds:
        'The digest indexes: the worker’s own process reads each to its end for its checksum, and all once more for the ' +
        'content id of the tip, beside the checks.',
    },
  ];
}

async function restoreContest(bed: Bed, sizes: Sizes, { topId, images }: LongChain): Promise<Row[]> {
  const top = images.at(-1) ?? '';
  const file = join(bed.scratch, 'restored.raw');
  const restore = async (name: string, verify?: boolean) => {
    const path = join(bed.fleet.restores, name);
    const timing = await bed.restore(topId, path, verify);
    await rm(path);
    return timing;
  };
  const { verified, unverified, theirs } = await compete(sizes, {
    settle: bed.settle,
    contenders: {
      verified: (round) => restore(`verified-${round}.raw`),
      unverified: (round) => restore(`unverified-${round}.raw`, false),
      theirs: () =>
        timeFile(file, () =>
          run('qemu-img', 'convert', '-W', '-m', '16', '-f', 'qcow2', '-O', 'raw', top, file),
        ),
    },
  });
  const point = `restore of a point at depth ${images.length} to raw`;
  const proved = `${point}, flushed and proved by its content id (default)`;
  const unproved = `${point}, flushed, \`verify: false\``;
  const convert = '`qemu-img convert -W -m 16`';
  const flush = 'The fsync: the other side returns while most of the file is still in memory.';
  return [
    {
      what: proved,
      against: `${convert}, not flushed`,
      ours: verified,
      theirs: upTo('unflushed', theirs),
      goal: 1.05,
      bounds: `${flush} Then reading the restored file back by direct I/O and digesting it.`,
    },
    { what: proved, against: `${convert}, then fsync`, ours: verified, theirs, bounds: '' },
    {
      what: unproved,
      against: `${convert}, not flushed`,
      ours: unverified,
      theirs: upTo('unflushed', theirs),
      bounds: flush,
    },
    {
      what: unproved,
      against: `${convert}, then fsync`,
      ours: unverified,
      theirs,
      goal: 1.05,
      bounds:
        'Before the same conversion, `qemu-img measure` walks the whole chain to see whether there is room; see below ' +
        'how long it takes.',
    },
  ];
}
