import type { KeepRules, PolicyCreate, PolicyPatch } from '../../contract/index.js';
import type { PolicyFacts } from '../../db/policy/policies.js';
import { readRules } from '../../services/retention/index.js';
import { StrataError } from '../../shared/errors.js';
import { checkTimeZone, nextTime, nextTimeOfStored } from './cron.js';

const NEW: PolicyFacts = {
  name: '',
  enabled: true,
  schedule: null,
  timeZone: 'UTC',
  jitterSeconds: 0,
  backupType: 'auto',
  fullEvery: null,
  fullAfterDays: null,
  verify: null,
  keep: null,
  nextRunAt: null,
};

/**
 * The facts of a policy after a change, or of a new one.
 * @param now the database's clock: the schedule goes on behind it
 * @throws invalid_request for a schedule, a time zone or a `keep` that means nothing
 */
export function definePolicy(
  body: PolicyCreate | PolicyPatch,
  now: Date,
  before: PolicyFacts = NEW,
): PolicyFacts {
  const facts: PolicyFacts = {
    name: body.name ?? before.name,
    enabled: body.enabled ?? before.enabled,
    schedule: body.schedule === undefined ? before.schedule : body.schedule,
    timeZone: body.time_zone ?? before.timeZone,
    jitterSeconds: body.jitter_seconds ?? before.jitterSeconds,
    backupType: body.backup_type ?? before.backupType,
    fullEvery: body.full_every === undefined ? before.fullEvery : body.full_every,
    fullAfterDays: body.full_after_days === undefined ? before.fullAfterDays : body.full_after_days,
    verify: body.verify === undefined ? before.verify : body.verify,
    keep: body.keep === undefined ? before.keep : body.keep,
    nextRunAt: before.nextRunAt,
  };
  checkTimeZone(facts.timeZone);
  readRules(facts.keep);
  checkKeepsSomething(body.keep ?? {});
  checkFulls(facts);
  checkJitter(body, facts);
  // A change of anything else must not put a run off that is due.
  const sameTimes =
    facts.schedule === before.schedule &&
    facts.timeZone === before.timeZone &&
    facts.enabled === before.enabled;
  if (sameTimes) return facts;
  // What is stored already may be switched off, or moved to another time zone, even if it would not be taken today.
  const nextOf = (schedule: string) =>
    schedule === before.schedule
      ? nextTimeOfStored(schedule, facts.timeZone, now)
      : nextTime(schedule, facts.timeZone, now);
  const due = facts.enabled && facts.schedule !== null;
  const next = facts.schedule === null ? null : nextOf(facts.schedule);
  return { ...facts, nextRunAt: due ? next : null };
}

function checkFulls({ backupType, fullEvery, fullAfterDays }: PolicyFacts): void {
  if (backupType === 'auto' || (fullEvery === null && fullAfterDays === null)) return;
  const field = fullEvery === null ? 'full_after_days' : 'full_every';
  throw new StrataError('invalid_request', `${field} is for backup_type "auto".`, { field });
}

function checkJitter({ jitter_seconds: jitter = 0 }: PolicyPatch, { schedule }: PolicyFacts): void {
  if (jitter === 0 || schedule !== null) return;
  throw new StrataError('invalid_request', 'jitter_seconds goes with a schedule.', {
    field: 'jitter_seconds',
  });
}

/**
 * Nothing but noughts may be meant as "keep nothing", and yet all would stay. Beside another rule a nought says that its
 * own rule is off. Policies of before may hold such rules, and stay as they are until theirs are changed.
 */
function checkKeepsSomething(keep: KeepRules): void {
  const values = Object.values(keep);
  if (values.length === 0 || values.some((value) => value !== 0)) return;
  const message = 'must be 1 or more, or another rule must be; without `keep` everything stays';
  throw new StrataError('invalid_request', 'Nothing but noughts would keep everything.', {
    fields: Object.keys(keep).map((rule) => ({ field: `keep.${rule}`, message })),
  });
}
