import type { Job, JobEvent } from '../../../contract/index.js';
import type { JobState } from '../../../db/job/changes.js';
import { isLine } from '../../../db/job/line.js';
import type { JobFacts } from '../../../db/job/list.js';
import { iso, toJobError, toProgress } from './parts.js';

export function toJob(facts: JobFacts): Job {
  return {
    id: facts.id,
    kind: facts.kind,
    type: facts.type,
    status: facts.status,
    chain_id: chainOf(facts),
    vm_context_id: facts.vmContextId,
    vm_name: facts.vmName,
    disk_id: facts.diskId,
    repository_id: facts.repositoryId,
    attempts: facts.attempts,
    cancel_requested: facts.cancelRequested,
    progress: toProgress(facts.progress),
    error: toJobError(facts.errorCode, facts.errorDetail),
    result: facts.result,
    created_at: facts.createdAt.toISOString(),
    started_at: iso(facts.startedAt),
    completed_at: iso(facts.completedAt),
  };
}

export function toJobEvent(state: Omit<JobState, 'seq' | 'delivery'>): JobEvent {
  return {
    id: state.id,
    kind: state.kind,
    chain_id: chainOf(state),
    status: state.status,
    cancel_requested: state.cancelRequested,
    progress: toProgress(state.progress),
    error: toJobError(state.errorCode, state.errorDetail),
  };
}

/** The line of a repository is no chain. */
function chainOf({ chainId }: { chainId: string }): string | null {
  return isLine(chainId) ? null : chainId;
}
