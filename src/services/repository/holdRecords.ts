import { createHash, randomUUID } from 'node:crypto';
import { lstat, readdir, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf, StrataError } from '../../shared/errors.js';
import { makeDirectory, removeFiles, syncDirectory, writeDurably } from './durable.js';

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
  const path = pathOf(root, backupId);
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw unavailable(path, error);
  }
  return parseRecord(text, backupId) ?? 'invalid';
}

/** Writes or, for null, removes the record of a backup; whole, and flushed. */
export async function writeHold(root: string, backupId: string, until: Date | null): Promise<void> {
  const directory = join(root, HOLDS_NAME);
  const path = pathOf(root, backupId);
  if (until === null) {
    if ((await readHold(root, backupId)) === undefined) return;
    await removeFiles([path]);
  } else {
    await makeDirectory(root, directory);
    const temporary = join(directory, `.${backupId}.${randomUUID()}.partial`);
    await writeDurably(temporary, serialise(backupId, until));
    await rename(temporary, path);
  }
  await syncDirectory(directory);
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

function serialise(backupId: string, until: Date): string {
  const record: HoldRecord = {
    format: 'strata-hold',
    version: 1,
    backup_id: backupId,
    protected_until: until.toISOString(),
  };
  return `${JSON.stringify({ ...record, sha256: checksum(record) }, null, 2)}\n`;
}

function parseRecord(text: string, backupId: string): Date | undefined {
  let record: Partial<HoldRecord> & { sha256?: string };
  try {
    record = { ...(JSON.parse(text) as object) };
  } catch {
    // Whatever it was, it is no JSON: the caller tells.
    return undefined;
  }
  const { sha256, ...rest } = record;
  const until = new Date(rest.protected_until ?? '');
  const valid =
    rest.format === 'strata-hold' &&
    rest.version === 1 &&
    rest.backup_id === backupId &&
    sha256 === checksum(rest) &&
    !Number.isNaN(until.getTime());
  return valid ? until : undefined;
}

function checksum(record: object): string {
  return createHash('sha256')
    .update(JSON.stringify(record, null, 2))
    .digest('hex');
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
