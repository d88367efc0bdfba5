import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { PublishedBackup } from '../../db/job/commitBackup.js';
import { asStrataError, StrataError } from '../../shared/errors.js';
import type { HeldLease } from '../job/holdLease.js';
import type { Outcome, ReportProgress, ServiceDeps } from '../deps.js';
import { removePartials } from '../repository/durable.js';
import type { Audit } from '../repository/manifest.js';
import {
  type BackupFiles,
  backupFiles,
  diskDirectory,
  nextSeconds,
  partialFiles,
} from '../repository/layout.js';
import type { BackupContext } from './context.js';
import type { BackupPlan } from '../chain/index.js';
import { publish } from './publish.js';
import { noteOutOfRoom, writtenBytes } from './room.js';
import { verifyNew } from './verifyNew.js';

export type BackupOutcome = Outcome & {
  backup: PublishedBackup;
  /** Blocks that an audit of the tracker has compared. */
  audited?: number;
};

/** What every attempt at a backup works with, wherever the bytes come from. */
export interface Attempt {
  deps: ServiceDeps;
  held: HeldLease;
  context: BackupContext;
  /** Size of the disk now, in bytes. */
  virtualSize: number;
  report: ReportProgress;
}

/** The files of an attempt, relative to the repository's root. */
export interface Names {
  files: BackupFiles;
  partial: BackupFiles;
}

/** What was written into the temporary image and its digest index. */
export interface Written {
  bytesTransferred: number;
  changeId: string | null;
  /** The audit of the tracker, where there was one and it found nothing. */
  audit?: Audit | undefined;
  /** QEMU has marked the source as corrupt. */
  sourceCorrupt?: boolean | undefined;
  /** Lets the source go, and never rejects: whoever is told of the backup may start the machine at once. */
  letGo?: () => Promise<void>;
}

/** The names of a new backup: later than every other in its directory. */
export async function nameFiles({ held, context }: Attempt, plan: BackupPlan): Promise<Names> {
  const { job, vm, restorePoint, repository } = context;
  const directory = diskDirectory(vm.vmContextId, job.diskId);
  const names = await readdir(join(repository.rootPath, directory));
  const seconds = nextSeconds(restorePoint.createdAt, [...names, ...context.takenNames]);
  const files = backupFiles({
    vmContextId: vm.vmContextId,
    vmName: vm.vmName,
    diskId: job.diskId,
    seconds,
    type: plan.type,
  });
  return { files, partial: partialFiles(files, held.lease.fence) };
}

/**
 * Lets `write` fill the temporary files, proves them and publishes them; leaves no temporary file when it fails.
 * @param keepsImage whether the image of a failed attempt is still of use to the next one
 */
export async function writeAndPublish(
  attempt: Attempt,
  plan: BackupPlan,
  names: Names,
  write: () => Promise<Written>,
  keepsImage: (error: StrataError) => boolean = () => false,
): Promise<BackupOutcome> {
  const { report } = attempt;
  try {
    const written = await write();
    const { bytesTransferred } = written;
    report({ phase: 'checking', bytes_done: bytesTransferred, bytes_total: bytesTransferred });
    const input = { ...attempt, ...names, plan };
    const { contentId } = await verifyNew(input);
    const published = await publish({ ...input, ...written, contentId });
    return { ...published, audited: written.audit?.sampled ?? 0 };
  } catch (failure) {
    const error = asStrataError(failure);
    await tidyUp(attempt, names.partial, error, keepsImage(error));
    throw error;
  }
}

async function tidyUp(
  { deps, held, context }: Attempt,
  { image, digests, manifest }: BackupFiles,
  error: StrataError,
  keepsImage: boolean,
): Promise<void> {
  const root = context.repository.rootPath;
  const left = keepsImage ? [digests, manifest] : [image, digests, manifest];
  const outOfRoom = error.code === 'no_space';
  const written = outOfRoom ? await writtenBytes(root, left) : 0;
  await removePartials(root, left, error);
  if (outOfRoom) await noteOutOfRoom(deps.ds, held, written);
}
