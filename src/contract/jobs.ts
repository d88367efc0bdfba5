import { type Static, Type } from 'typebox';
import { JOB_KINDS, MAINTENANCE_TYPES } from '../shared/jobs.js';
import {
  closed,
  DiskId,
  Id,
  JobError,
  JobStatus,
  JobTimes,
  nullable,
  oneOf,
  Progress,
  WaitingFor,
} from './common.js';

/** A job of any kind: a backup, a validation, a restore. What belongs to a chain is null where it works on a repository as a whole. */
export const Job = closed({
  id: Type.String(),
  kind: oneOf(JOB_KINDS),
  type: Type.String({
    description: `Backup type, ${MAINTENANCE_TYPES.map((type) => `\`${type}\``).join(', ')} or \`restore\`.`,
  }),
  status: JobStatus,
  chain_id: nullable(Type.String({ description: 'Null, as the three below, of a `rebuild`.' })),
  vm_context_id: nullable(Type.String()),
  vm_name: nullable(Type.String()),
  disk_id: nullable(DiskId),
  repository_id: Type.String(),
  attempts: Type.Integer({ minimum: 0 }),
  cancel_requested: Type.Boolean(),
  progress: nullable(Progress),
  error: nullable(JobError),
  /** Until it has ended; null while it runs. */
  waiting_for: Type.Optional(nullable(WaitingFor)),
  result: nullable(Type.Record(Type.String(), Type.Unknown())),
  ...JobTimes,
});
export type Job = Static<typeof Job>;

/** Answer to a request for one job; wait for `job_id`. */
export const JobAccepted = closed({ job_id: Type.String(), status: JobStatus });
export type JobAccepted = Static<typeof JobAccepted>;

export const JobParams = closed({ id: Id(['bkp', 'mnt', 'rst'], 'job') });

export const EventsQuery = closed({
  job_id: Type.Optional(Id(['bkp', 'mnt', 'rst'], 'job')),
});
export type EventsQuery = Static<typeof EventsQuery>;

/** `data` of an event `job` of GET /events: sent when the state or the progress of a job changes. */
export const JobEvent = closed({
  id: Type.String(),
  kind: oneOf(JOB_KINDS),
  chain_id: nullable(Type.String()),
  status: JobStatus,
  cancel_requested: Type.Boolean(),
  progress: nullable(Progress),
  error: nullable(JobError),
});
export type JobEvent = Static<typeof JobEvent>;
