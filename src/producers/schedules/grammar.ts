import { StrataError } from '../../shared/errors.js';

/** What the five fields of a schedule say, as numbers. */
export interface Schedule {
  /** Ascending, 0 to 59. */
  minutes: number[];
  /** Ascending, 0 to 23. */
  hours: number[];
  /** The hour is `*`: each hour that the clock shows, however often it shows it. */
  everyHour: boolean;
  /** 1 to 31; undefined: any. */
  days: ReadonlySet<number> | undefined;
  /** 1 to 12. */
  months: ReadonlySet<number>;
  /** 0 is Sunday, 6 is Saturday; undefined: any. */
  weekdays: ReadonlySet<number> | undefined;
}

interface Field {
  name: string;
  first: number;
  last: number;
  /** Names of the values, from `first` on. */
  names: readonly string[];
}

const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];
const WEEKDAYS = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'];
const MINUTE: Field = { name: 'minute', first: 0, last: 59, names: [] };
const HOUR: Field = { name: 'hour', first: 0, last: 23, names: [] };
const DAY: Field = { name: 'day of month', first: 1, last: 31, names: [] };
const MONTH: Field = { name: 'month', first: 1, last: 12, names: MONTHS };
const WEEKDAY: Field = { name: 'day of week', first: 0, last: 6, names: WEEKDAYS };
const ORDER = [MINUTE, HOUR, DAY, MONTH, WEEKDAY].map(({ name }) => name).join(', ');

/** Days of each month in the year that has most of them. */
const LONGEST_MONTHS = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/** What other programs take, and what to write here. */
const SHORTHANDS: Readonly<Record<string, string>> = {
  '@yearly': '0 0 1 1 *',
  '@annually': '0 0 1 1 *',
  '@monthly': '0 0 1 * *',
  '@weekly': '0 0 * * 0',
  '@daily': '0 0 * * *',
  '@midnight': '0 0 * * *',
  '@hourly': '0 * * * *',
};

/**
 * Reads the five fields of cron as POSIX has them (crontab(1)), with the steps and names of Vixie's cron, and nothing else:
 * docs/policies.md says the grammar. Programs differ in what more they take, and in what that means.
 * @throws invalid_request that names the field, for anything else and for a schedule that never occurs
 */
export function parseSchedule(text: string): Schedule {
  const fields = text.split(/[ \t]+/).filter((field) => field !== '');
  const [minute, hour, day, month, weekday] = fields;
  if (!minute || !hour || !day || !month || !weekday || fields.length !== 5) throw wrongCount(text, fields);
  const minutes = readField(MINUTE, minute);
  const hours = readField(HOUR, hour);
  const schedule: Schedule = {
    minutes: ascending(minutes),
    hours: ascending(hours),
    everyHour: hours.size === 24,
    days: isAny(day) ? undefined : readField(DAY, day),
    months: readField(MONTH, month),
    weekdays: isAny(weekday) ? undefined : readField(WEEKDAY, weekday),
  };
  checkOccurs(schedule);
  return schedule;
}

/** A refusal of a schedule: its one sentence, and why. */
export function refusedSchedule(why: string, cause?: unknown): StrataError {
  const message = `The schedule is not one of cron, such as "30 2 * * *": ${why}`;
  return new StrataError('invalid_request', message, { field: 'schedule', ...(cause ? { cause } : {}) });
}

function wrongCount(text: string, fields: readonly string[]): StrataError {
  const written = SHORTHANDS[text.trim().toLowerCase()];
  if (written !== undefined) return refusedSchedule(`${text.trim()} is written "${written}".`);
  const { length } = fields;
  const count = length === 0 ? 'no fields' : length === 1 ? '1 field' : `${length} fields`;
  const seconds = length === 6 ? ' There are no seconds and no years.' : '';
  return refusedSchedule(`it has ${count}; five are needed: ${ORDER}.${seconds}`);
}

/** `*` as a day leaves the choice of the day to the other field of days; a list of all days does not. */
function isAny(text: string): boolean {
  return text === '*' || text === '*/1';
}

function readField(field: Field, text: string): Set<number> {
  return new Set(text.split(',').flatMap((part) => readPart(field, part)));
}

/** `*`, `a`, `a-b`, each but the single value with `/step`. */
function readPart(field: Field, part: string): number[] {
  const [range = '', step, ...more] = part.split('/');
  const [from = '', to, ...ends] = range.split('-');
  if (more.length > 0 || ends.length > 0) throw unreadable(field, part);
  if (range === '*') return everyNth(field, part, field.first, field.last, step);
  const first = readValue(field, part, from);
  if (to === undefined) {
    if (step === undefined) return [first % 7 === 0 && field === WEEKDAY ? 0 : first];
    throw wrong(field, part, `has a step without a range: write ${first}-${field.last}/${step}`);
  }
  const end = readValue(field, part, to);
  // Sunday ends a week as well as it begins one.
  const last = field === WEEKDAY && end === 0 && first > 0 ? 7 : end;
  if (first > last) throw wrong(field, part, `goes backwards: ${aroundTheEnd(field, from, to, first)}`);
  const values = everyNth(field, part, first, last, step);
  return field === WEEKDAY ? values.map((value) => value % 7) : values;
}

function aroundTheEnd(field: Field, from: string, to: string, first: number): string {
  const { last: end, first: begin, names } = field;
  const named = (value: number) => names[value - begin] ?? String(value);
  const [last, zero] = /^\d/.test(from) ? [String(end), String(begin)] : [named(end), named(begin)];
  const head = first === end ? from : `${from}-${last}`;
  return `write ${head},${zero === to ? to : `${zero}-${to}`}`;
}

function everyNth(field: Field, part: string, first: number, last: number, step = '1'): number[] {
  const by = /^\d{1,4}$/.test(step) ? Number(step) : 0;
  if (by < 1) throw wrong(field, part, 'has a step that is no whole number from 1');
  if (by > 1 && by > last - first) {
    throw wrong(field, part, `has a step that leaves one value only: write ${first}`);
  }
  return Array.from({ length: Math.floor((last - first) / by) + 1 }, (_, index) => first + index * by);
}

function readValue(field: Field, part: string, text: string): number {
  const named = field.names.indexOf(text.toLowerCase());
  if (named >= 0) return field.first + named;
  if (!/^\d{1,4}$/.test(text)) throw unreadable(field, part);
  const value = Number(text);
  const last = field === WEEKDAY ? 7 : field.last;
  if (value >= field.first && value <= last) return value;
  throw wrong(field, part, `is not within ${field.first} to ${last}`);
}

function unreadable(field: Field, part: string): StrataError {
  if (part === '') return refusedSchedule(`the ${field.name} has an empty place in its list.`);
  if (part === '?') return wrong(field, part, 'is not known here: write *');
  if (/^h(\W|$)/i.test(part)) {
    return wrong(field, part, 'is not known here: write a number, and let the jitter spread the VMs');
  }
  if (/[lw#]/i.test(part) && /^(\d*[lw]+|\w+#\d+|l-\d+|\w{3}l)$/i.test(part)) {
    return wrong(field, part, 'is not known here: there are no last, nearest and n-th days');
  }
  const names = field.names.length > 0 ? ` or ${field.names[0]} to ${field.names.at(-1)}` : '';
  const last = field === WEEKDAY ? 7 : field.last;
  return wrong(
    field,
    part,
    `is none of: *, ${field.first} to ${last}${names}, a-b, a-b/n, */n, lists with commas`,
  );
}

function wrong({ name }: Field, part: string, why: string): StrataError {
  return refusedSchedule(`the ${name} "${part}" ${why}.`);
}

/** A day of the week comes in every month; a day of the month alone may be in none of those that are named. */
function checkOccurs({ days, months, weekdays }: Schedule): void {
  if (!days || weekdays) return;
  const first = Math.min(...days);
  if ([...months].some((month) => first <= (LONGEST_MONTHS[month - 1] ?? 0))) return;
  throw refusedSchedule(`no month that it names has a day ${first}, so it would never run.`);
}

function ascending(values: ReadonlySet<number>): number[] {
  return [...values].sort((a, b) => a - b);
}
