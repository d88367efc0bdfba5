import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { PublishedBackup } from '../../db/job/commitBackup.js';
import type { Under } from '../job/under.js';
import type { Outcome, ServiceDeps } from '../deps.js';
import type { Audit } from '../repository/manifest.js';
import { type BackupFiles, backupFiles, nextSeconds, partialFiles } from '../repository/layout.js';
import type { BackupContext } from './context.js';
import type { BackupPlan } from '../chain/index.js';

export type BackupOutcome = Outcome & {
  backup: PublishedBackup;
  /** Blocks that an audit of the tracker has compared. */
  audited?: number;
};

/** An attempt at a backup that knows its job and its chain. */
export interface Begun extends Under<ServiceDeps> {
  context: BackupContext;
}

/** What every attempt works with that knows its disk, wherever the bytes come from. */
export interface Attempt extends Begun {
  /** Size of the disk now, in bytes. */
  virtualSize: number;
}

/** A backup that is being made, with its names. */
export interface NewBackup extends Attempt, Names {
  plan: BackupPlan;
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
  const { job, vm, restorePoint, root, directory } = context;
  const names = await readdir(join(root, directory));
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
