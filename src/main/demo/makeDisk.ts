import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, open, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { collectFiles, FILE_SOURCES } from './collectFiles.js';
import { runTool } from './tool.js';

/** Sectors of 512 bytes, as every partition table of this kind counts. */
const SECTOR = 512;

const TABLE_OFFSET = 446;
const LINUX = 0x83;
/** Beyond what cylinders, heads and sectors can say: 1023/254/63, "see the sector numbers". */
const CHS_BEYOND = [0xfe, 0xff, 0xff] as const;

/**
 * A master boot record with one Linux partition, as sfdisk would write it: no boot code, four 16-byte entries at 446, the
 * signature 55 AA at 510 (layout: UEFI specification 2.10, section 5.2.1).
 * @param partition offset and length in bytes, multiples of 512, below 2 TiB
 * @param signature identifies the disk
 */
function masterBootRecord(partition: { offset: number; length: number }, signature: number): Buffer {
  const record = Buffer.alloc(SECTOR);
  record.writeUInt32LE(signature, 440);
  record.set([0, ...CHS_BEYOND, LINUX, ...CHS_BEYOND], TABLE_OFFSET);
  record.writeUInt32LE(partition.offset / SECTOR, TABLE_OFFSET + 8);
  record.writeUInt32LE(partition.length / SECTOR, TABLE_OFFSET + 12);
  record.set([0x55, 0xaa], 510);
  return record;
}

const MIB = 1024 * 1024;

export interface DiskPlan {
  /** Bytes of the whole disk, a multiple of 1 MiB. */
  size: number;
  /** Bytes of files of this machine to put on it. */
  files: number;
  /** Directories that the files come from. */
  sources: readonly string[];
}

export const DEMO_DISK: DiskPlan = { size: 512 * MIB, files: 60 * MIB, sources: FILE_SOURCES };

/** Where the partition begins, in bytes: 1 MiB, as every partitioning program aligns today. */
export const PARTITION_OFFSET = MIB;

/** Directory on the disk whose files change between the backups. */
export const CHANGING = 'strata-demo';
const FIRST_FILES = 8;

/**
 * Makes a raw disk with a partition table and a real ext4 file system that holds files of this machine. It appears whole
 * under its name, or not at all.
 */
export async function makeDisk(
  path: string,
  plan: DiskPlan = DEMO_DISK,
  signal?: AbortSignal,
): Promise<{ files: number; bytes: number }> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const staging = await mkdtemp(join(dirname(path), '.demo-'));
  const draft = join(staging, 'disk.raw');
  try {
    const tree = join(staging, 'tree');
    const sum = await collectFiles(plan.sources, tree, plan.files, signal);
    await writeChangingFiles(join(tree, CHANGING));
    await writeTable(draft, plan.size);
    const kib = (plan.size - PARTITION_OFFSET) / 1024;
    // -E offset: the file system lies in the partition; mke2fs wants its size then.
    const layout = ['-E', `offset=${PARTITION_OFFSET},root_owner=0:0`, '-L', 'strata-demo'];
    await runTool('mke2fs', ['-q', '-F', '-t', 'ext4', '-d', tree, ...layout, draft, `${kib}k`], signal);
    await rename(draft, path);
    return { files: sum.files + FIRST_FILES, bytes: sum.bytes };
  } finally {
    await rm(staging, { recursive: true, force: true });
  }
}

async function writeChangingFiles(directory: string): Promise<void> {
  await mkdir(directory, { recursive: true });
  for (let index = 0; index < FIRST_FILES; index++) {
    await writeFile(join(directory, `old-${index}.bin`), randomBytes(256 * 1024));
  }
}

async function writeTable(path: string, size: number): Promise<void> {
  const file = await open(path, 'wx', 0o600);
  try {
    await file.truncate(size);
    const partition = { offset: PARTITION_OFFSET, length: size - PARTITION_OFFSET };
    await file.write(masterBootRecord(partition, randomBytes(4).readUInt32LE()), 0, undefined, 0);
    await file.sync();
  } finally {
    await file.close();
  }
}
