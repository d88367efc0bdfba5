import { join } from 'node:path';
import type { DataSource } from '../../db/database.js';
import { immutableDaysOf, raiseImmutableDays } from '../../db/repository/repositories.js';
import { abortable } from '../../shared/abort.js';
import { HOLDS_NAME } from './holdRecords.js';
import { assertRepository } from './marker.js';
import { readSealed, writeSealed } from './sealedRecord.js';

/** Relative to the repository's root (docs/on-disk-format.md). */
export const IMMUTABILITY_NAME = join(HOLDS_NAME, 'repository.json');

interface ImmutabilityRecord {
  format: 'strata-immutability';
  version: 1;
  repository_id: string;
  immutable_days: number;
}

/** `immutable_days` is in the catalogue and in the repository, as protections are: decision 16. */
export interface ImmutabilityPlace {
  ds: DataSource;
  repository: { id: string; rootPath: string };
  signal: AbortSignal;
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

/**
 * Lets the repository say what the catalogue says. Safe to repeat, and beside another: who finds that the catalogue was
 * changed while it wrote the record writes it again.
 * @throws repository_unavailable, repository_marker_foreign, not_found, database_unavailable, or the signal's reason
 */
export async function recordImmutableDays({ ds, repository, signal }: ImmutabilityPlace): Promise<void> {
  const { id, rootPath } = repository;
  for (;;) {
    const days = await immutableDaysOf(ds, id);
    await abortable(assertRepository(rootPath, id), signal);
    const said = await abortable(readImmutableDays(rootPath, id), signal);
    if (said === days || (said === undefined && days === 0)) return;
    await abortable(writeImmutableDays(rootPath, id, days), signal);
  }
}

/**
 * Lets the catalogue keep for as long as the repository says: it may be an older copy, or rebuilt.
 * @returns the days, where the catalogue had fewer
 * @throws repository_unavailable, database_unavailable, or the signal's reason
 */
export async function adoptImmutableDays({
  ds,
  repository,
  signal,
}: ImmutabilityPlace): Promise<number | undefined> {
  const days = await abortable(readImmutableDays(repository.rootPath, repository.id), signal);
  if (typeof days !== 'number' || !(await raiseImmutableDays(ds, repository.id, days))) return undefined;
  return days;
}

function pathIn(root: string): string {
  return join(root, IMMUTABILITY_NAME);
}
