import { immutableDaysOf, raiseImmutableDays } from '../../db/repository/repositories.js';
import { abortable } from '../../shared/abort.js';
import { readImmutableDays, writeImmutableDays } from '../repository/immutability.js';
import { assertRepository } from '../repository/marker.js';
import type { ProtectedRepository } from './holds.js';

/**
 * Lets the repository say what the catalogue says. Safe to repeat, and beside another: who finds that the catalogue was
 * changed while it wrote the record writes it again.
 * @throws repository_unavailable, repository_marker_foreign, not_found, database_unavailable, or the signal's reason
 */
export async function recordImmutableDays({ ds, repository, signal }: ProtectedRepository): Promise<void> {
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
}: ProtectedRepository): Promise<number | undefined> {
  const days = await abortable(readImmutableDays(repository.rootPath, repository.id), signal);
  if (typeof days !== 'number' || !(await raiseImmutableDays(ds, repository.id, days))) return undefined;
  return days;
}
