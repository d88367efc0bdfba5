import { JOB_STATES } from '../shared/jobs.js';
import {
  type Static,
  type TObject,
  type TProperties,
  type TSchema,
  type TStringOptions,
  Type,
} from 'typebox';
import type { IdPrefix } from '../shared/ids.js';

/** An object whose unknown properties are refused: a misspelt option must not be ignored. */
export function closed<P extends TProperties>(properties: P, description?: string): TObject<P> {
  return Type.Object(properties, {
    additionalProperties: false,
    ...(description === undefined ? {} : { description }),
  });
}

/** `T | null`. */
export const nullable = <T extends TSchema>(schema: T) => Type.Union([schema, Type.Null()]);

/** One of these words. */
export const oneOf = <Words extends string[]>(words: readonly [...Words], description?: string) =>
  Type.Enum<Words>(words, description === undefined ? {} : { description });

/**
 * A text that fits an expression. Callers are told its form in words (`x-form`, a sentence's end after "must be"), never the
 * expression: see schemaErrors.ts of the API.
 */
export const Formed = (pattern: string, form: string, options: TStringOptions = {}) =>
  Type.String({ ...options, pattern, 'x-form': form });

/** Prefix, underscore, characters of the id alphabet; what does not look like this cannot exist. */
export const Id = (prefix: IdPrefix | readonly IdPrefix[], what: string) => {
  const prefixes = [prefix].flat();
  const examples = prefixes.map((each) => `${each}_...`).join(', ');
  return Formed(`^(${prefixes.join('|')})_[0-9a-z]{1,58}$`, `the id of a ${what} (${examples})`, {
    maxLength: 64,
    description: `Id of a ${what}.`,
  });
};

export const VmContextId = Formed(
  '^[A-Za-z0-9._-]{1,191}$',
  'the id of a VM: 1 to 191 of A-Z a-z 0-9 . _ -',
  { maxLength: 191, description: 'Id of a VM as seen by one repository.' },
);

/** An id or a name; which of the two it is, the database tells. */
export const RepositoryRef = Type.String({
  minLength: 1,
  maxLength: 64,
  description: 'Id or name of a repository.',
});

export const VmName = Type.String({
  minLength: 1,
  maxLength: 255,
  description:
    'Name of the VM, as its hypervisor has it: one line of any characters, compared exactly. No control characters, no blank at its ends.',
});
// Databases compare text as if it were padded with blanks.
export const UpstreamId = Formed('^(|.*\\S)$', 'one line without a blank at its end', {
  maxLength: 191,
  description:
    "The upstream's own id of the VM: never that of the upstream. Two VMs of one name differ in it; a VM that comes with another name under its id has been renamed, and goes on with its backups.",
});
export const DiskId = Type.Integer({
  minimum: 0,
  maximum: 9999,
  description: "The disk's name for good, from 0; never its position in a list.",
});
export const ChangeId = Type.String({
  minLength: 1,
  maxLength: 191,
  description: "The upstream's opaque token for the state of a disk.",
});
export const Bytes = (description: string) =>
  Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER, description: `${description}, in bytes.` });
export const Time = (description: string) =>
  Type.String({ format: 'date-time', description: `${description}; ISO 8601, UTC.` });

export const MaxBytesPerSecond = Type.Integer({
  minimum: 65_536,
  maximum: Number.MAX_SAFE_INTEGER,
  description: 'Bandwidth limit, in bytes per second.',
});
export const DeadlineSeconds = Type.Integer({
  minimum: 1,
  // A timer of Node.js holds 2^31 ms.
  maximum: 2_147_483,
  description:
    'A job that has not ended so long after its first attempt began fails with `deadline_exceeded`. Waiting for its turn does not count; pauses between attempts do. Default: STRATA_JOB_DEADLINE_MS.',
});

/** Nothing, or an empty object: a call without a body. */
export const NoBody = nullable(closed({}));

/** Query of every list. */
export const PageQuery = {
  limit: Type.Optional(
    Type.Integer({ minimum: 1, maximum: 500, default: 50, description: 'Items per page.' }),
  ),
  cursor: Type.Optional(
    Type.String({ minLength: 1, maxLength: 512, description: '`next_cursor` of the page before.' }),
  ),
};

/** A page of a list. */
export const pageOf = <T extends TSchema>(item: T) =>
  closed({
    items: Type.Array(item),
    next_cursor: nullable(Type.String({ description: 'Cursor of the next page; null on the last one.' })),
  });

/** A page of a list. */
export interface Page<T> {
  items: T[];
  next_cursor: string | null;
}

/** What deep validations know of a backup that is refused. */
export const KnownDamage = closed(
  {
    located: Type.Boolean({
      description:
        'The ranges are all that was found wrong. False: a file is wrong as a whole, or no deep validation has told where.',
    }),
    count: Type.Integer({ minimum: 0, description: 'How many ranges are known.' }),
    bytes: Bytes('All of them together'),
    ranges: Type.Array(
      closed({
        offset: Bytes('Beginning of the range on the disk'),
        length: Bytes('Its length'),
        in_backup: Type.String({ description: 'The backup whose file holds it.' }),
        unreadable: Type.Boolean({ description: 'The disk below the repository does not give it.' }),
      }),
      { maxItems: 10, description: 'The first of them.' },
    ),
  },
  'What of the disk a restore would have wrong.',
);

/** Problem details (RFC 9457), the body of every error. */
export const Problem = closed(
  {
    type: Type.String({ description: '`urn:strata:error:<code>`.' }),
    title: Type.String({ description: 'One sentence for the code.' }),
    status: Type.Integer({ minimum: 400, maximum: 599, description: 'HTTP status.' }),
    detail: Type.String({ description: 'The facts of this case.' }),
    code: Type.String({ description: 'Code of docs/errors.md; stable, for scripts.' }),
    errors: Type.Array(
      closed({
        field: Type.String({ description: 'Such as `disks[0].disk_id`; empty for the whole body.' }),
        message: Type.String(),
      }),
      { description: 'The fields that are wrong.' },
    ),
    damage: Type.Optional(KnownDamage),
    request_id: Type.String({ description: "Found again in the API's log." }),
  },
  'Problem details (RFC 9457).',
);
export type Problem = Static<typeof Problem>;

export const Health = oneOf(['ok', 'suspect', 'damaged'], 'What the last validation found.');
export type Health = Static<typeof Health>;

export const VerifyBackup = oneOf(
  ['after', 'after_deep'],
  'after: when the backup has completed, its chain is validated quickly. after_deep: what was never read is read, too.',
);
export type VerifyBackup = Static<typeof VerifyBackup>;

export const JobStatus = oneOf(
  JOB_STATES,
  'queued: waits for others of its chain; released: next of its chain, in the queue.',
);
export type JobStatus = Static<typeof JobStatus>;

/** How far a running job is. */
export const Progress = closed({
  phase: Type.String(),
  bytes_done: Bytes('Done in this phase; of a consolidation: in all of its phases'),
  bytes_total: nullable(Bytes('To do in this phase, or in all of them; null while unknown')),
  rate: nullable(Type.Number({ minimum: 0, description: 'Bytes per second since the phase began.' })),
  eta_seconds: nullable(
    Type.Number({ minimum: 0, description: 'Seconds to the end of the phase, or of all of them.' }),
  ),
});
export type Progress = Static<typeof Progress>;

/** Why a job failed, or why its last attempt did. */
export const JobError = closed({ code: Type.String(), detail: nullable(Type.String()) });
export type JobError = Static<typeof JobError>;

/** For what or whom an open job waits. */
export const WaitingFor = closed(
  {
    reason: oneOf(
      ['condition', 'pause', 'change_list', 'agent', 'job', 'slot', 'worker', 'no_worker'],
      'condition: what `error` names (room, a mount, a port); pause: the next attempt; change_list, agent: the upstream; job: another job of the chain; slot: max_parallel_jobs of the repository; worker: a free one; no_worker: no live worker serves the pool.',
    ),
    detail: Type.String({ description: 'One sentence for a person.' }),
    job_id: nullable(Type.String({ description: 'The job in front, for `job`.' })),
    until: nullable(Time('When it is tried again, or the change list must have come')),
  },
  'For what or whom it waits.',
);
export type WaitingFor = Static<typeof WaitingFor>;

/** Answer to a request for cancelling. */
export const CancelResult = closed({
  id: Type.String(),
  status: JobStatus,
  accepted: Type.Boolean({ description: 'False when the job had ended already.' }),
});
export type CancelResult = Static<typeof CancelResult>;

/** When a job was accepted, begun and ended. */
export const JobTimes = {
  created_at: Time('When it was accepted'),
  started_at: nullable(Time('When its first attempt began')),
  completed_at: nullable(Time('When it ended')),
};
