import { join } from 'node:path';
import { HOLDS_NAME } from './holdRecords.js';
import { readSealed, writeSealed } from './sealedRecord.js';

/** Relative to the repository's root (docs/on-disk-format.md). */
export const IMMUTABILITY_NAME = join(HOLDS_NAME, 'repository.json');

interface ImmutabilityRecord {
  format: 'strata-immutability';
  version: 1;
  repository_id: string;
  immutable_days: number;
}

/**
 * For how many days a repository keeps its backups, as it says itself; undefined where it certainly does not say, or where
 * another repository has said so that was in the directory before.
 * @throws repository_unavailable when that cannot be told
 */
export async function readImmutableDays(
  root: string,
  repositoryId: string,
): Promise<number | 'invalid' | undefined> {
  const record: Partial<ImmutabilityRecord> | 'invalid' | undefined = await readSealed(pathIn(root));
  if (record === undefined || record === 'invalid') return record;
  const { format, version, repository_id: id, immutable_days: days } = record;
  if (format !== 'strata-immutability' || version !== 1 || days === undefined) return 'invalid';
  if (!Number.isSafeInteger(days) || days < 0) return 'invalid';
  return id === repositoryId ? days : undefined;
}

/** Writes the record, whole and flushed. */
export async function writeImmutableDays(root: string, repositoryId: string, days: number): Promise<void> {
  const record: ImmutabilityRecord = {
    format: 'strata-immutability',
    version: 1,
    repository_id: repositoryId,
    immutable_days: days,
  };
  await writeSealed(root, pathIn(root), record);
}

function pathIn(root: string): string {
  return join(root, IMMUTABILITY_NAME);
}
