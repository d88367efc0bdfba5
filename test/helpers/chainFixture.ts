// Chains as Strata's backups leave them, built without the backup service: images, digest indexes, manifests and rows.
import { randomBytes } from 'node:crypto';
import { mkdir, stat, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { DataSource } from 'typeorm';
import { contentId } from '../../src/datapath/digests/index.js';
import { BackupChain, type BackupType } from '../../src/entities/index.js';
import { createImage } from '../../src/qcow2/index.js';
import { headerDigest } from '../../src/services/repository/imageHeader.js';
import { backupFiles, diskDirectory, sidecarsOf } from '../../src/services/repository/layout.js';
import { type Manifest, serialiseManifest } from '../../src/services/repository/manifest.js';
import { createMarker } from '../../src/services/repository/marker.js';
import { type DiskWrite, readWritten, writeLayerIndex } from './chainLayer.js';
import { insertBackup, insertChain, insertRepository, type Names } from './chainRows.js';
import { runTool } from './runTool.js';

export interface ChainStep {
  type: BackupType;
  writes: DiskWrite[];
  /** Bytes; that of the step before by default. */
  virtualSize?: number;
}

export interface FixtureBackup {
  id: string;
  type: BackupType;
  parentId: string | null;
  /** Absolute paths. */
  image: string;
  digests: string;
  manifest: string;
  /** Relative to the root. */
  path: string;
  virtualSize: number;
  contentId: string;
  /** All writes of the segment up to it, in order. */
  history: readonly DiskWrite[];
  /**
   * What the guest's disk held at that moment; made at each call, because to fork a process that holds the disks of many
   * chains costs more than the programs that the tests start.
   */
  readonly content: Buffer;
  manifestContent: Manifest;
}

export interface ChainFixture {
  root: string;
  /** Absolute path of the disk's directory. */
  directory: string;
  repositoryId: string;
  chainId: string;
  backups: FixtureBackup[];
}

/** The backup with this number in the chain, from 1. */
export function nthBackup({ backups }: Pick<ChainFixture, 'backups'>, number: number): FixtureBackup {
  const backup = backups[number - 1];
  if (!backup) throw new Error(`There is no backup ${number}.`);
  return backup;
}

const MIB = 1024 ** 2;
const FIRST_SECONDS = 1_790_000_000;

/** A full and three increments, as most tests want: small writes, one block of zeros written over data. */
export const PLAIN_CHAIN: ChainStep[] = [
  {
    type: 'full',
    writes: [
      { offset: 0, length: MIB, pattern: 0x11 },
      { offset: 8 * MIB, length: MIB, pattern: 0x12 },
    ],
  },
  { type: 'incremental', writes: [{ offset: 65536, length: 131072, pattern: 0x21 }] },
  {
    type: 'incremental',
    writes: [
      { offset: 8 * MIB, length: 262144, pattern: 0 },
      { offset: 12 * MIB, length: 65536, pattern: 0x31 },
    ],
  },
  { type: 'incremental', writes: [{ offset: 12 * MIB, length: 65536, pattern: 0x41 }] },
];

/**
 * Builds a repository of one chain below `baseDir`, with its rows. Every backup has its own instant and file times.
 * @param beside a chain in whose repository it is built instead
 */
export async function buildChain(
  ds: DataSource,
  baseDir: string,
  steps: readonly ChainStep[] = PLAIN_CHAIN,
  virtualSize = 16 * MIB,
  beside?: Pick<ChainFixture, 'root' | 'repositoryId'>,
): Promise<ChainFixture> {
  const id = randomBytes(6).toString('hex');
  const { root, repositoryId } = beside ?? { root: join(baseDir, `repo-${id}`), repositoryId: `repo_${id}` };
  const names = { repositoryId, vmContextId: `vm-${id}`, chainId: `chn_${id}` };
  const directory = join(root, diskDirectory(names.vmContextId, 0));
  if (!beside) {
    await createMarker(root, repositoryId, new Date());
    await insertRepository(ds, repositoryId, root);
  }
  await mkdir(directory, { recursive: true });
  await insertChain(ds, names);
  const chain: ChainFixture = { root, directory, ...names, backups: [] };
  for (const [index, step] of steps.entries()) {
    const size = step.virtualSize ?? chain.backups.at(-1)?.virtualSize ?? virtualSize;
    chain.backups.push(await addBackup(ds, chain, { ...names, step, index, size, suffix: id }));
  }
  const full = chain.backups.findLast(({ type }) => type === 'full');
  await ds.getRepository(BackupChain).update(names.chainId, {
    fullBackupId: full?.id ?? null,
    latestBackupId: chain.backups.at(-1)?.id ?? null,
    totalBackups: steps.length,
    lastSeq: steps.length,
    fence: steps.length,
    committed: steps.length,
  });
  return chain;
}

interface AddOptions extends Names {
  step: ChainStep;
  index: number;
  size: number;
  suffix: string;
}

async function addBackup(ds: DataSource, chain: ChainFixture, options: AddOptions): Promise<FixtureBackup> {
  const { step, index, size, vmContextId } = options;
  const parent = parentOf(chain, step.type);
  const seconds = FIRST_SECONDS + index;
  const files = backupFiles({ vmContextId, vmName: vmContextId, diskId: 0, seconds, type: step.type });
  const { image, digests, manifest } = {
    image: join(chain.root, files.image),
    digests: join(chain.root, files.digests),
    manifest: join(chain.root, files.manifest),
  };
  await createImage(image, {
    virtualSizeBytes: size,
    ...(parent ? { backing: { name: basename(parent.image), format: 'qcow2' as const } } : {}),
  });
  const commands = step.writes.flatMap(({ offset, length, pattern }) => [
    '-c',
    pattern === 0 ? `write -z ${offset} ${length}` : `write -P ${pattern} ${offset} ${length}`,
  ]);
  await runTool('qemu-io', '-f', 'qcow2', ...commands, image);
  const history = [...(parent?.history ?? []), ...step.writes];
  const backupId = `bkp_${options.suffix}_${index + 1}`;
  await writeLayerIndex(digests, {
    backupId,
    virtualSize: size,
    read: (offset, length) => readWritten(history, offset, length),
    written: step.writes.map(({ offset, length }) => ({ offset, length })),
  });
  const layers = [digests];
  for (let below = parent; below; below = chain.backups.find(({ id }) => id === below?.parentId))
    layers.push(below.digests);
  const contentOf = await contentId({ layers, virtualSizeBytes: size });
  const { size: length, mtimeMs, blocks } = await stat(image);
  const manifestContent: Manifest = {
    format: 'strata-manifest',
    version: 1,
    repository_id: options.repositoryId,
    vm_context_id: vmContextId,
    vm_name: vmContextId,
    upstream_id: '',
    disk_id: 0,
    chain_id: options.chainId,
    seq: index + 1,
    backup_id: backupId,
    restore_point_id: `rp_${options.suffix}_${index + 1}`,
    fence: index + 1,
    backup_type: step.type,
    requested_type: step.type,
    demoted_reason: null,
    parent_backup_id: parent?.id ?? null,
    parent_file: parent ? basename(parent.image) : null,
    change_id: `change-${index + 1}`,
    file: basename(image),
    file_length: length,
    file_mtime_ms: mtimeMs,
    header_sha256: await headerDigest(image),
    size_bytes: blocks * 512,
    virtual_size: size,
    bytes_transferred: 0,
    content_id: contentOf,
    created_at: new Date(seconds * 1000).toISOString(),
  };
  await writeFile(manifest, serialiseManifest(manifestContent));
  await insertBackup(ds, manifestContent, sidecarsOf(files.image).image);
  return {
    id: backupId,
    type: step.type,
    parentId: parent?.id ?? null,
    image,
    digests,
    manifest,
    path: files.image,
    virtualSize: size,
    contentId: contentOf,
    history,
    get content() {
      return readWritten(history, 0, size);
    },
    manifestContent,
  };
}

function parentOf(chain: ChainFixture, type: BackupType): FixtureBackup | undefined {
  if (type === 'full') return undefined;
  const full = chain.backups.findLast((backup) => backup.type === 'full');
  return type === 'differential' ? full : chain.backups.at(-1);
}
