import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { DataSource } from '../../db/database.js';
import { recordStep, readSteps, type StepRecord } from '../../db/jobs/journal.js';
import { endedRestores } from '../../db/stores/restores.js';
import { isStrataError } from '../../shared/errors.js';
import type { HeldLease } from '../chain/holdLease.js';
import { publishFile, syncDirectory } from '../repository/durable.js';
import { partialsIn, partialsOf, type RestorePlan } from './plan.js';
import type { RestoreResult } from './result.js';
import { type FileIdentity, identityOf } from './target.js';

type FilePlan = Extract<RestorePlan, { kind: 'file' }>;

/** The step that is recorded before the file gets its final name, with its identity and the job's result. */
const PUBLISHING = 'publishing';

/**
 * Makes the private directory of an attempt, and removes those of the attempts before it, and those of jobs that have ended:
 * one whose worker was killed, and which was then cancelled, has nobody else to tidy up after it.
 */
export async function beginPartial(
  ds: DataSource,
  plan: FilePlan,
  jobId: string,
  fence: number,
): Promise<void> {
  await removePartials(plan.parent, jobId, fence);
  const others = partialsIn(await readdir(plan.parent));
  const ended = await endedRestores(ds, [...new Set(others.map((partial) => partial.jobId))]);
  for (const partial of others) {
    if (ended.has(partial.jobId)) await rm(join(plan.parent, partial.name), { recursive: true, force: true });
  }
  await mkdir(plan.directory, { mode: 0o700 });
}

/**
 * Removes what attempts of the job, up to that of the fence, have left in a directory. Those of a newer attempt are never
 * touched.
 */
export async function removePartials(parent: string, jobId: string, fence: number): Promise<void> {
  for (const name of partialsOf(jobId, fence, await readdir(parent))) {
    await rm(join(parent, name), { recursive: true, force: true });
  }
}

/**
 * Gives the restored file its name, durably and without replacing anything. The journal knows the file before the name
 * does: an attempt after a crash finishes what it recognises.
 * @throws file_exists when somebody else took the name, lease_lost
 */
export async function publish(
  ds: DataSource,
  held: HeldLease,
  plan: FilePlan,
  result: RestoreResult,
): Promise<RestoreResult> {
  const file = await identityOf(plan.temporary);
  await recordStep(ds, held.lease, PUBLISHING, 'begun', { path: plan.final, file, result });
  await held.assertHeld();
  try {
    await publishFile(plan.temporary, plan.final);
  } catch (error) {
    // An attempt of this job that was frozen in between may have been the one.
    const earlier = isStrataError(error, 'file_exists')
      ? recognise(await readSteps(ds, held.lease.jobId), plan.final, await identityOf(plan.final))
      : undefined;
    if (!earlier) throw error;
    await syncDirectory(plan.parent);
    return earlier;
  }
  await syncDirectory(plan.parent);
  return result;
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
