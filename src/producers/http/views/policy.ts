import type {
  Policy as PolicyView,
  PolicyRun as PolicyRunView,
  PolicyRunWithVms,
  RetentionVerdict,
  Simulation,
} from '../../../contract/index.js';
import type { PolicyWithVms } from '../../../db/policy/policies.js';
import type { RunWithVms } from '../../../db/policy/runs.js';
import type { PolicyRun } from '../../../entities/index.js';
import type { Verdict } from '../../../services/retention/index.js';
import { refusalOf } from '../../schedules/cron.js';
import { iso, toJobError } from './parts.js';

export function toPolicy({ policy, vms }: PolicyWithVms): PolicyView {
  return {
    id: policy.id,
    name: policy.name,
    enabled: policy.enabled,
    schedule: policy.schedule,
    schedule_problem: policy.schedule === null ? null : (refusalOf(policy.schedule) ?? null),
    time_zone: policy.timeZone,
    jitter_seconds: policy.jitterSeconds,
    backup_type: policy.backupType,
    full_every: policy.fullEvery,
    full_after_days: policy.fullAfterDays,
    verify: policy.verify,
    keep: policy.keep,
    vms,
    next_run_at: iso(policy.nextRunAt),
    created_at: policy.createdAt.toISOString(),
  };
}

export function toPolicyRun(run: PolicyRun): PolicyRunView {
  return {
    id: run.id,
    policy_id: run.policyId,
    started_by: run.startedBy,
    status: run.status,
    scheduled_for: iso(run.scheduledFor),
    started_at: run.startedAt.toISOString(),
    ended_at: iso(run.endedAt),
  };
}

export function toPolicyRunWithVms({ run, vms }: RunWithVms): PolicyRunWithVms {
  return {
    ...toPolicyRun(run),
    vms: vms.map((vm) => ({
      vm_context_id: vm.vmContextId,
      due_at: vm.dueAt.toISOString(),
      restore_point_id: vm.restorePointId,
      error: toJobError(vm.errorCode, vm.errorDetail),
    })),
  };
}

export function toSimulation(
  policyId: string,
  vms: readonly { vmContextId: string; verdicts: readonly Verdict[] }[],
): Simulation {
  const points = vms.flatMap((vm) => vm.verdicts);
  const keep = points.filter((point) => point.keep).length;
  return {
    policy_id: policyId,
    keep,
    remove: points.length - keep,
    vms: vms.map(({ vmContextId, verdicts }) => ({
      vm_context_id: vmContextId,
      points: verdicts.map(toVerdict),
    })),
  };
}

function toVerdict({ id, createdAt, state, keep, reasons }: Verdict): RetentionVerdict {
  return { restore_point_id: id, created_at: createdAt.toISOString(), state, keep, reasons };
}
