import { createHash } from 'node:crypto';
import type { Policy } from '../../entities/index.js';
import {
  beginDueRuns,
  type DueVm,
  dueVms,
  endRuns,
  noteAccepted,
  noteRefused,
} from '../../db/policy/runs.js';
import { asStrataError } from '../../shared/errors.js';
import { acceptBackup } from '../accept/index.js';
import type { AcceptDeps } from '../accept/deps.js';
import { nextTimeOfStored } from './cron.js';

/** Backups that are accepted in one round. */
const MOST_AT_ONCE = 500;

/**
 * One round: begins what is due, accepts the backups whose turn has come, ends the runs that are through. All of it is in the
 * database, so that a round may end anywhere and the next one goes on; a backup that was accepted and not noted is found
 * again by its key.
 */
export async function runPolicies(deps: AcceptDeps): Promise<void> {
  for (const run of await beginDueRuns(deps.ds, { next: nextOf, delayOf })) {
    const facts = { policyId: run.policyId, runId: run.id };
    if (run.status === 'empty') deps.log.warn(facts, 'a policy was due and has no VM');
    else if (run.status === 'skipped')
      deps.log.warn(facts, 'a policy was due while its last run still goes on');
    else deps.log.info(facts, 'a policy begins');
  }
  for (const vm of await dueVms(deps.ds, MOST_AT_ONCE)) await acceptOne(deps, vm);
  for (const run of await endRuns(deps.ds)) {
    deps.log.info({ policyId: run.policyId, runId: run.id, status: run.status }, 'a policy has run');
  }
}

async function acceptOne(deps: AcceptDeps, vm: DueVm): Promise<void> {
  const body = {
    vm_name: vm.vmName,
    repository_id: vm.repositoryId,
    upstream_id: vm.upstreamId,
    backup_type: vm.backupType,
    ...(vm.fullEvery === null ? {} : { full_every: vm.fullEvery }),
    ...(vm.fullAfterDays === null ? {} : { full_after_days: vm.fullAfterDays }),
    ...(vm.verify === null ? {} : { verify: vm.verify }),
  };
  const key = `${vm.runId}:${sha256(vm.vmContextId).slice(0, 32)}`;
  try {
    const answer = await acceptBackup(deps, body, {
      tokenId: vm.policyId,
      key,
      // The policy may be changed between two rounds: the first request counts.
      requestSha256: sha256(key),
    });
    await noteAccepted(deps.ds, vm, answer.restore_point_id);
  } catch (error) {
    const failed = asStrataError(error);
    deps.log.warn({ err: failed, policyId: vm.policyId, vmContextId: vm.vmContextId }, 'not accepted');
    // What may pass is tried again with the next round.
    if (failed.outcome === 'wait' || failed.outcome === 'retry') return;
    await noteRefused(deps.ds, vm, { code: failed.code, detail: failed.message });
  }
}

/** Null where the schedule names no instant any more; such a policy is never due. */
export function nextOf(
  { schedule, timeZone }: Pick<Policy, 'schedule' | 'timeZone'>,
  after: Date,
): Date | null {
  return schedule === null ? null : nextTimeOfStored(schedule, timeZone, after);
}

/** Each VM has its own place within the jitter, the same in every run: days are as far apart as they should be. */
function delayOf({ id, jitterSeconds }: Policy, vmContextId: string): number {
  const share = Number.parseInt(sha256(`${id}/${vmContextId}`).slice(0, 8), 16) / 2 ** 32;
  return Math.floor(jitterSeconds * 1000 * share);
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
