import { mkdir, rm, stat, truncate, utimes, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import {
  type Fault,
  flip,
  forgetBackingFormat,
  L1_TABLE_AT,
  L2_TABLE_AT,
  rebase,
  REFCOUNT_TABLE_AT,
  swap,
  writeRefcount,
} from './faultTools.js';

/** Every kind of fault, one at a time, in a chain of a full and three increments; and what has to be found. */
export const FAULTS: Fault[] = [
  {
    title: 'a missing file',
    inflict: (_, at) => rm(at(2).image),
    codes: ['2:file_missing'],
    backups: 'ok damaged suspect suspect',
    chain: 'damaged',
  },
  {
    title: 'a missing tip',
    inflict: (_, at) => rm(at(4).image),
    codes: ['4:file_missing'],
    backups: 'ok ok ok damaged',
    chain: 'damaged',
  },
  {
    title: 'a truncated file',
    inflict: async (_, at) => {
      const { size } = await stat(at(3).image);
      await truncate(at(3).image, size - 65536);
    },
    codes: ['3:file_truncated', '3:image_corrupt'],
    backups: 'ok ok damaged suspect',
    chain: 'damaged',
  },
  {
    title: 'a file that is cut in the middle of its metadata',
    inflict: (_, at) => truncate(at(1).image, 100_000),
    codes: ['1:file_truncated', '1:image_corrupt'],
    backups: 'damaged suspect suspect suspect',
    chain: 'damaged',
  },
  {
    title: 'an empty file',
    inflict: (_, at) => truncate(at(4).image, 0),
    codes: ['4:file_truncated', '4:image_corrupt'],
    backups: 'ok ok ok damaged',
    chain: 'damaged',
  },
  {
    title: 'a wrong backing name',
    inflict: async (_, at) => void (await rebase(at(3).image, '-b', basename(at(1).image), '-F', 'qcow2')),
    codes: ['2:unreachable', '3:backing_wrong', '3:file_touched'],
    backups: 'ok ok damaged suspect',
    chain: 'damaged',
  },
  {
    title: 'a backing name that leads out of the repository',
    inflict: async (_, at) => void (await rebase(at(2).image, '-b', '/etc/hostname', '-F', 'raw')),
    codes: ['1:unreachable', '2:backing_wrong', '2:file_touched'],
    backups: 'ok damaged suspect suspect',
    chain: 'damaged',
  },
  {
    title: 'an absolute backing name',
    inflict: async (_, at) => void (await rebase(at(2).image, '-b', at(1).image, '-F', 'qcow2')),
    codes: ['2:backing_absolute', '2:file_touched'],
    backups: 'ok suspect suspect suspect',
    chain: 'suspect',
  },
  {
    title: 'a backing reference without format',
    inflict: async (_, at) => {
      await forgetBackingFormat(at(4).image);
    },
    codes: ['4:backing_format_missing'],
    backups: 'ok ok ok suspect',
    chain: 'suspect',
  },
  {
    title: 'a backing format that would expose the file as raw bytes',
    inflict: async (_, at) => void (await rebase(at(4).image, '-b', basename(at(3).image), '-F', 'raw')),
    codes: ['4:backing_format_wrong', '4:file_touched'],
    backups: 'ok ok ok damaged',
    chain: 'damaged',
  },
  {
    title: 'a lost backing reference',
    inflict: async (_, at) => void (await rebase(at(4).image, '-b', '')),
    codes: ['3:unreachable', '4:backing_missing', '4:file_touched'],
    backups: 'ok ok ok damaged',
    chain: 'damaged',
  },
  {
    title: 'a loop of backing files',
    inflict: async (_, at) => void (await rebase(at(2).image, '-b', basename(at(4).image), '-F', 'qcow2')),
    codes: ['1:unreachable', '2:backing_loop', '2:backing_wrong', '2:file_touched'],
    backups: 'ok damaged suspect suspect',
    chain: 'damaged',
  },
  {
    title: 'a full that refers to its own increment',
    inflict: async (_, at) => void (await rebase(at(1).image, '-b', basename(at(4).image), '-F', 'qcow2')),
    codes: ['1:backing_loop', '1:backing_unexpected', '1:file_touched'],
    backups: 'damaged suspect suspect suspect',
    chain: 'damaged',
  },
  {
    title: 'two swapped increments',
    inflict: (_, at) => swap(at(2).image, at(3).image),
    codes: ['2:backing_loop', '2:backing_wrong', '2:file_swapped', '3:backing_wrong', '3:file_swapped'],
    backups: 'ok damaged damaged suspect',
    chain: 'damaged',
  },
  {
    title: 'a flipped bit in the refcount table',
    inflict: (_, at) => flip(at(1).image, REFCOUNT_TABLE_AT + 4),
    codes: ['1:image_corrupt'],
    backups: 'damaged suspect suspect suspect',
    chain: 'damaged',
  },
  {
    title: 'a flipped bit in the L1 table',
    inflict: (_, at) => flip(at(2).image, L1_TABLE_AT + 3, 0x40),
    codes: ['2:image_corrupt'],
    backups: 'ok damaged suspect suspect',
    chain: 'damaged',
  },
  {
    title: 'a flipped bit in an L2 table',
    inflict: (_, at) => flip(at(2).image, L2_TABLE_AT + 8 + 5, 0x01),
    codes: ['2:image_corrupt'],
    backups: 'ok damaged suspect suspect',
    chain: 'damaged',
  },
  {
    title: 'a flipped bit in the magic of the header',
    inflict: (_, at) => flip(at(3).image, 0),
    codes: ['3:image_corrupt'],
    backups: 'ok ok damaged suspect',
    chain: 'damaged',
  },
  {
    title: "a flipped bit in the header's disk size",
    inflict: (_, at) => flip(at(4).image, 29, 0x08),
    codes: ['4:image_size_differs'],
    backups: 'ok ok ok damaged',
    chain: 'damaged',
  },
  {
    title: 'a flipped bit behind the header, which QEMU does not read',
    inflict: (_, at) => flip(at(2).image, 40_000, 0x10),
    codes: ['2:header_changed'],
    backups: 'ok ok ok ok',
    chain: 'suspect',
  },
  {
    title: 'leaked clusters',
    inflict: async (_, at) => {
      const { size } = await stat(at(4).image);
      // The refcount block of a small image follows its table: one cluster more is counted than is used.
      await writeRefcount(at(4).image, size / 65536);
    },
    codes: ['4:file_grown', '4:image_leaks'],
    backups: 'ok ok ok suspect',
    chain: 'suspect',
  },
  {
    title: 'a file that was only touched',
    inflict: (_, at) => utimes(at(2).image, new Date(), new Date()),
    codes: ['2:file_touched'],
    backups: 'ok ok ok ok',
    chain: 'ok',
  },
  {
    title: 'a flipped bit in a manifest',
    inflict: (_, at) => flip(at(2).manifest, 60, 0x01),
    codes: ['2:manifest_invalid'],
    backups: 'ok ok ok ok',
    chain: 'suspect',
  },
  {
    title: 'a missing manifest',
    inflict: (_, at) => rm(at(2).manifest),
    codes: ['2:manifest_missing'],
    backups: 'ok ok ok ok',
    chain: 'suspect',
  },
  {
    title: 'two swapped manifests',
    inflict: (_, at) => swap(at(2).manifest, at(3).manifest),
    codes: ['2:manifest_mismatch', '3:manifest_mismatch'],
    backups: 'ok ok ok ok',
    chain: 'suspect',
  },
  {
    title: 'a flipped bit in a digest index',
    inflict: (_, at) => flip(at(1).digests, 200, 0x10),
    codes: ['1:digests_invalid'],
    backups: 'ok ok ok ok',
    chain: 'suspect',
  },
  {
    title: 'a missing digest index',
    inflict: (_, at) => rm(at(1).digests),
    codes: ['1:digests_missing'],
    backups: 'ok ok ok ok',
    chain: 'suspect',
  },
  {
    title: 'two swapped digest indexes',
    inflict: (_, at) => swap(at(2).digests, at(3).digests),
    codes: ['2:digests_mismatch', '3:digests_mismatch'],
    backups: 'ok ok ok ok',
    chain: 'suspect',
  },
  {
    title: 'a directory in place of an image: something is there, and nothing proves that it is damage',
    inflict: async (_, at) => {
      await rm(at(3).image);
      await mkdir(at(3).image);
    },
    codes: ['3:unreadable'],
    backups: 'ok ok suspect suspect',
    chain: 'suspect',
  },
  {
    title: 'a foreign file in the directory',
    inflict: (chain) => writeFile(join(chain.directory, 'copy.qcow2'), ''),
    codes: ['unknown_file'],
    backups: 'ok ok ok ok',
    chain: 'ok',
  },
  {
    title: 'a directory that is gone while its repository is there',
    inflict: (chain) => rm(chain.directory, { recursive: true }),
    codes: [1, 2, 3, 4]
      .flatMap((n) => [`${n}:digests_missing`, `${n}:file_missing`, `${n}:manifest_missing`])
      .concat('directory_missing'),
    backups: 'damaged damaged damaged damaged',
    chain: 'damaged',
  },
];
