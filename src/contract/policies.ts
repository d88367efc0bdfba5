import { type Static, Type } from 'typebox';
import { RequestedType } from './backups.js';
import {
  closed,
  Formed,
  Id,
  nullable,
  oneOf,
  PageQuery,
  pageOf,
  Time,
  VerifyBackup,
  VmContextId,
} from './common.js';

const Name = Type.String({ minLength: 1, maxLength: 63, description: 'A-Z a-z 0-9 _ . -' });
const Periods = (what: string) =>
  Type.Optional(Type.Integer({ minimum: 0, maximum: 10_000, description: what }));

export const KeepRules = closed(
  {
    last: Periods('The newest ones'),
    hourly: Periods('The newest of each of so many hours that have one'),
    daily: Periods('The same for days'),
    weekly: Periods('For weeks, which begin on Monday'),
    monthly: Periods('For months'),
    yearly: Periods('For years'),
    within: Type.Optional(
      Formed('^[1-9][0-9]{0,5}[hdwmy]$', 'a duration such as 36h, 30d, 8w, 6m or 2y', {
        description: 'All that is not older, counted from the newest: 36h, 30d, 8w, 6m, 2y.',
      }),
    ),
  },
  'A point stays if one of these keeps it. Without a rule everything stays; nothing but noughts is refused.',
);
export type KeepRules = Static<typeof KeepRules>;

const facts = {
  enabled: Type.Optional(Type.Boolean({ default: true, description: 'A disabled one is never due.' })),
  schedule: Type.Optional(
    nullable(
      Type.String({
        maxLength: 191,
        description:
          'Minute, hour, day of month, month, day of week (docs/policies.md), such as `30 2 * * *`; null: only on request.',
      }),
    ),
  ),
  time_zone: Type.Optional(
    Type.String({ minLength: 1, maxLength: 64, default: 'UTC', description: 'Such as Europe/Berlin.' }),
  ),
  jitter_seconds: Type.Optional(
    Type.Integer({ minimum: 0, maximum: 86_400, description: 'The VMs begin spread over so many seconds.' }),
  ),
  backup_type: Type.Optional(RequestedType),
  full_every: Type.Optional(
    nullable(Type.Integer({ minimum: 1, maximum: 10_000, description: 'For `auto`.' })),
  ),
  full_after_days: Type.Optional(
    nullable(Type.Integer({ minimum: 1, maximum: 3650, description: 'For `auto`.' })),
  ),
  verify: Type.Optional(nullable(VerifyBackup)),
  keep: Type.Optional(nullable(KeepRules)),
  vms: Type.Optional(
    Type.Array(VmContextId, {
      maxItems: 10_000,
      uniqueItems: true,
      description: 'A VM has one policy at most.',
    }),
  ),
};

export const PolicyCreate = closed({ name: Name, ...facts });
export type PolicyCreate = Static<typeof PolicyCreate>;

export const PolicyPatch = Type.Object(
  { name: Type.Optional(Name), ...facts },
  { additionalProperties: false, minProperties: 1 },
);
export type PolicyPatch = Static<typeof PolicyPatch>;

export const Policy = closed({
  id: Type.String(),
  name: Type.String(),
  enabled: Type.Boolean(),
  schedule: nullable(Type.String()),
  schedule_problem: nullable(
    Type.String({
      description: 'Why the schedule would be refused today; it goes on as it was read when it was taken.',
    }),
  ),
  time_zone: Type.String(),
  jitter_seconds: Type.Integer(),
  backup_type: RequestedType,
  full_every: nullable(Type.Integer()),
  full_after_days: nullable(Type.Integer()),
  verify: nullable(VerifyBackup),
  keep: nullable(KeepRules),
  vms: Type.Array(Type.String()),
  next_run_at: nullable(Time('When it is due')),
  created_at: Time('When it was made'),
});
export type Policy = Static<typeof Policy>;

export const PolicyRunStatus = oneOf(
  ['running', 'completed', 'completed_with_warnings', 'failed', 'empty', 'skipped'],
  'empty: it had no VM; skipped: the run before still went on; completed_with_warnings: for some of its VMs.',
);

export const PolicyRun = closed({
  id: Type.String(),
  policy_id: Type.String(),
  started_by: oneOf(['schedule', 'catch_up', 'request'], 'catch_up: it was missed, once or several times.'),
  status: PolicyRunStatus,
  scheduled_for: nullable(Time('What the schedule said')),
  started_at: Time('When it began'),
  ended_at: nullable(Time('When it ended')),
});
export type PolicyRun = Static<typeof PolicyRun>;

export const PolicyRunWithVms = closed({
  ...PolicyRun.properties,
  vms: Type.Array(
    closed({
      vm_context_id: Type.String(),
      due_at: Time('When its backup is asked for'),
      restore_point_id: nullable(Type.String()),
      error: nullable(closed({ code: Type.String(), detail: nullable(Type.String()) })),
    }),
  ),
});
export type PolicyRunWithVms = Static<typeof PolicyRunWithVms>;

export const RetentionVerdict = closed({
  restore_point_id: Type.String(),
  created_at: Time('The instant of the point'),
  state: oneOf(['good', 'suspect', 'damaged', 'incomplete', 'unfinished']),
  keep: Type.Boolean(),
  reasons: Type.Array(Type.String()),
});
export type RetentionVerdict = Static<typeof RetentionVerdict>;

export const Simulation = closed({
  policy_id: Type.String(),
  keep: Type.Integer({ description: 'Points that stay.' }),
  remove: Type.Integer({ description: 'Points that would go.' }),
  vms: Type.Array(closed({ vm_context_id: Type.String(), points: Type.Array(RetentionVerdict) })),
});
export type Simulation = Static<typeof Simulation>;

export const PolicyPage = pageOf(Policy);
export type PolicyPage = Static<typeof PolicyPage>;
export const PolicyRunPage = pageOf(PolicyRun);
export type PolicyRunPage = Static<typeof PolicyRunPage>;

export const PolicyParams = closed({ id: Id('pol', 'policy') });
export const PolicyRunParams = closed({ id: Id('pol', 'policy'), run_id: Id('run', 'run') });
export const PolicyQuery = closed(PageQuery);
export type PolicyQuery = Static<typeof PolicyQuery>;
