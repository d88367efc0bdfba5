import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf, StrataError } from '../../shared/errors.js';
import { removeFiles, syncDirectory } from './durable.js';
import { readSealed, writeSealed } from './sealedRecord.js';

/** Where protections are written, below the repository's root (docs/on-disk-format.md). */
export const HOLDS_NAME = '.holds';

interface HoldRecord {
  format: 'strata-hold';
  version: 1;
  backup_id: string;
  /** Not to be removed before. */
  protected_until: string;
}

const RECORD = /^(bkp_[0-9a-z_]{1,60})\.json$/;
const PARTIAL = /^\..+\.partial$/;
/** A writer needs less than this for its temporary file, in ms. */
const PARTIAL_LIFE_MS = 3_600_000;

export interface FoundHolds {
  /** Dates by backup. */
  held: Map<string, Date>;
  /** Files that are no records, relative to the root. */
  invalid: string[];
}

/** @throws repository_unavailable when a record can neither be read nor is certainly absent */
export async function listHolds(root: string): Promise<FoundHolds> {
  const found: FoundHolds = { held: new Map(), invalid: [] };
  for (const name of await namesIn(root)) {
    const id = RECORD.exec(name)?.[1];
    if (id === undefined) continue;
    const until = await readHold(root, id);
    if (until === 'invalid') found.invalid.push(join(HOLDS_NAME, name));
    else if (until) found.held.set(id, until);
  }
  return found;
}

/**
 * Until when a backup is protected, as its repository says; undefined where there is certainly no record.
 * @throws repository_unavailable when that cannot be told
 */
export async function readHold(root: string, backupId: string): Promise<Date | 'invalid' | undefined> {
  const record = await readSealed(pathOf(root, backupId));
  if (record === undefined || record === 'invalid') return record;
  return dateOf(record, backupId) ?? 'invalid';
}

/** Writes or, for null, removes the record of a backup; whole, and flushed. */
export async function writeHold(root: string, backupId: string, until: Date | null): Promise<void> {
  const path = pathOf(root, backupId);
  if (until !== null) {
    const record: HoldRecord = {
      format: 'strata-hold',
      version: 1,
      backup_id: backupId,
      protected_until: until.toISOString(),
    };
    return writeSealed(root, path, record);
  }
  if ((await readHold(root, backupId)) === undefined) return;
  await removeFiles([path]);
  await syncDirectory(join(root, HOLDS_NAME));
}

/** Removes what writers have left that died in the middle. */
export async function removeDeadRecords(root: string, nowMs: number): Promise<void> {
  for (const name of await namesIn(root)) {
    if (!PARTIAL.test(name)) continue;
    const path = join(root, HOLDS_NAME, name);
    const { mtimeMs } = await lstat(path).catch((error: unknown) => {
      // Its writer has just given it its name.
      if (errnoOf(error) === 'ENOENT') return { mtimeMs: nowMs };
      throw unavailable(path, error);
    });
    if (nowMs - mtimeMs > PARTIAL_LIFE_MS) await removeFiles([path]);
  }
}

function dateOf(record: Partial<HoldRecord>, backupId: string): Date | undefined {
  const until = new Date(record.protected_until ?? '');
  const valid =
    record.format === 'strata-hold' &&
    record.version === 1 &&
    record.backup_id === backupId &&
    !Number.isNaN(until.getTime());
  return valid ? until : undefined;
}

function pathOf(root: string, backupId: string): string {
  return join(root, HOLDS_NAME, `${backupId}.json`);
}

async function namesIn(root: string): Promise<string[]> {
  const directory = join(root, HOLDS_NAME);
  try {
    return await readdir(directory);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    throw unavailable(directory, error);
  }
}

function unavailable(path: string, cause: unknown): StrataError {
  return new StrataError('repository_unavailable', `${path} cannot be read.`, { cause });
}
