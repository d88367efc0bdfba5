import { readdir } from 'node:fs/promises';
import { basename } from 'node:path';
import type { DataSource } from '../../db/database.js';
import { recordStep, readSteps, type StepRecord } from '../../db/job/journal.js';
import type { ChainLease } from '../../db/job/lease.js';
import { endedRestores } from '../../db/job/restores.js';
import { isStrataError } from '../../shared/errors.js';
import type { HeldLease } from '../job/holdLease.js';
import { publishFile } from '../repository/durable.js';
import { partialsIn, partialsOf, type RestorePlan } from './plan.js';
import type { RestoreResult } from './result.js';
import { type FileIdentity, identityOf } from './target.js';
import {
  makePrivateDirectory,
  type PrivateDirectory,
  removeDirectoryAt,
  type TargetDirectory,
} from './targetDirectory.js';

type FilePlan = Extract<RestorePlan, { kind: 'file' }>;

/** The step that is recorded before the file gets its final name, with its identity and the job's result. */
const PUBLISHING = 'publishing';

/**
 * Makes the private directory of an attempt, and removes those of the attempts before it, and those of jobs that have ended:
 * one whose worker was killed, and which was then cancelled, has nobody else to tidy up after it.
 */
export async function beginPartial(
  ds: DataSource,
  parent: TargetDirectory,
  plan: FilePlan,
  { jobId, fence }: Pick<ChainLease, 'jobId' | 'fence'>,
): Promise<PrivateDirectory> {
  await removePartials(parent, jobId, fence);
  const others = partialsIn(await readdir(parent.at()));
  const ended = await endedRestores(ds, [...new Set(others.map((partial) => partial.jobId))]);
  for (const partial of others) {
    if (ended.has(partial.jobId)) await removeDirectoryAt(parent, partial.name);
  }
  return makePrivateDirectory(parent, basename(plan.directory));
}

/**
 * Removes what attempts of the job, up to that of the fence, have left in a directory. Those of a newer attempt are never
 * touched.
 */
export async function removePartials(parent: TargetDirectory, jobId: string, fence: number): Promise<void> {
  for (const name of partialsOf(jobId, fence, await readdir(parent.at())))
    await removeDirectoryAt(parent, name);
}

/**
 * Gives the restored file its name, durably and without replacing anything. The journal knows the file before the name
 * does: an attempt after a crash finishes what it recognises.
 * @throws file_exists when somebody else took the name; target_changed when the directory is not where it was, and then
 *   nothing is left in it; lease_lost
 */
export async function publish(
  ds: DataSource,
  held: HeldLease,
  { parent, partial, plan }: { parent: TargetDirectory; partial: PrivateDirectory; plan: FilePlan },
  result: RestoreResult,
): Promise<RestoreResult> {
  const name = basename(plan.final);
  const file = await identityOf(partial.at(name));
  await recordStep(ds, held.lease, PUBLISHING, 'begun', { path: plan.final, file, result });
  await held.assertHeld();
  await parent.assertInPlace();
  try {
    await publishFile(partial.at(name), parent.at(name));
  } catch (error) {
    // An attempt of this job that was frozen in between may have been the one.
    const earlier = isStrataError(error, 'file_exists')
      ? recognise(await readSteps(ds, held.lease.jobId), plan.final, await identityOf(parent.at(name)))
      : undefined;
    if (!earlier) throw error;
    await parent.sync();
    return earlier;
  }
  await parent.sync();
  await takeBackUnless(parent, name);
  return result;
}

/** A directory that was moved between the last look and the link has taken the file along. */
async function takeBackUnless(parent: TargetDirectory, name: string): Promise<void> {
  try {
    await parent.assertInPlace();
  } catch (error) {
    await parent.remove(name);
    throw error;
  }
}

/**
 * The result of an attempt that published this very file before it died; undefined for a file that is not the job's.
 * Pure.
 */
export function recognise(
  steps: readonly StepRecord[],
  path: string,
  found: FileIdentity,
): RestoreResult | undefined {
  for (const { step, data } of steps) {
    if (step !== PUBLISHING || data === null) continue;
    const noted = data as unknown as { path: string; file: FileIdentity; result: RestoreResult };
    const same =
      noted.path === path &&
      noted.file.inode === found.inode &&
      noted.file.size === found.size &&
      noted.file.mtime_ns === found.mtime_ns;
    if (same) return noted.result;
  }
  return undefined;
}
