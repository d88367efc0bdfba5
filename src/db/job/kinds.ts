import type { IdPrefix } from '../../shared/ids.js';
import { JOB_KINDS, type JobKind, MERGING_TYPES, OPEN_STATES } from '../../shared/jobs.js';

/** What the database has to know of a kind of job, beside the columns and the FIFO that all kinds share. */
export interface KindFacts {
  table: string;
  /** Of its ids. */
  prefix: IdPrefix;
  /** Which of its jobs only read: a condition on the job's row `j`. */
  reads: string;
  /** What the others do to the chain (order.ts). */
  otherwise: 'adds' | 'changes';
  /** Which of its jobs still wait for their change list: a condition on `j`. */
  awaitsExtents: string;
}

/** A kind that is not here does not compile; what is here is part of every statement over all jobs. */
export const KIND_FACTS: Record<JobKind, KindFacts> = {
  backup: {
    table: 'backup_jobs',
    prefix: 'bkp',
    reads: 'FALSE',
    otherwise: 'adds',
    awaitsExtents: 'j.awaits_extents_until IS NOT NULL',
  },
  maintenance: {
    table: 'maintenance_jobs',
    prefix: 'mnt',
    reads: `j.type = 'validate'`,
    otherwise: 'changes',
    awaitsExtents: 'FALSE',
  },
  restore: {
    table: 'restore_jobs',
    prefix: 'rst',
    reads: 'TRUE',
    otherwise: 'changes',
    awaitsExtents: 'FALSE',
  },
};

/** All kinds of jobs. Statements over them are made from such a catalogue, so that none of them can leave out a kind. */
export type AllKinds = Readonly<Record<string, KindFacts>>;

/** A statement over all kinds; each of its `?` is a chain's id, or a list of them. */
export interface OverKinds {
  sql: string;
  /** Number of the `?`. */
  times: number;
}

export const JOB_TABLES = Object.fromEntries(
  JOB_KINDS.map((kind) => [kind, KIND_FACTS[kind].table]),
) as Record<JobKind, string>;

/** The kind that an id's prefix names, or undefined. */
export function kindOfJob(id: string): JobKind | undefined {
  const prefix = id.slice(0, id.indexOf('_'));
  return JOB_KINDS.find((kind) => KIND_FACTS[kind].prefix === prefix);
}

const listed = (texts: readonly string[]) => `(${texts.map((text) => `'${text}'`).join(', ')})`;

/** For a statement: `status IN ${OPEN}` is a job that has not ended. */
export const OPEN = listed(OPEN_STATES);

/** For a statement: `type IN ${MERGING}` is a maintenance job that merges or replaces files of its chain. */
export const MERGING = listed(MERGING_TYPES);

/** No job waits longer than this for its next try, in milliseconds. */
export const LONGEST_DELAY_MS = 600_000;
