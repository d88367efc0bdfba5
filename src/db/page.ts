import type { DataSource, EntityManager, ObjectLiteral, SelectQueryBuilder } from 'typeorm';
import { asking } from './transaction.js';

/** Where a page begins: behind this row. `createdAt` where the list is ordered by time. */
export interface PageKey {
  id: string;
  createdAt?: Date | undefined;
}

export interface PageRequest {
  /** Rows per page, from 1. */
  limit: number;
  after?: PageKey | undefined;
}

export interface PageOf<T> {
  rows: T[];
  /** Key of the last row, if more follow. */
  next: PageKey | undefined;
}

/**
 * Reads a page in the order of an ascending id.
 * @param id property that holds the id, such as `r.id`
 */
export async function pageById<T extends ObjectLiteral>(
  query: SelectQueryBuilder<T>,
  id: string,
  page: PageRequest,
  idOf: (row: T) => string,
  direction: 'ASC' | 'DESC' = 'ASC',
): Promise<PageOf<T>> {
  if (page.after)
    query.andWhere(`${id} ${direction === 'ASC' ? '>' : '<'} :afterId`, { afterId: page.after.id });
  const rows = await asking(() =>
    query
      .orderBy(id, direction)
      .limit(page.limit + 1)
      .getMany(),
  );
  return cut(rows, page.limit, (row) => ({ id: idOf(row) }));
}

/**
 * Reads a page, newest first within the order that the query may have already. The key is compared column by column,
 * because the optimizer uses no index for row values.
 */
export async function pageByTime<T extends ObjectLiteral & { id: string; createdAt: Date }>(
  query: SelectQueryBuilder<T>,
  page: PageRequest,
): Promise<PageOf<T>> {
  const { alias } = query;
  if (page.after?.createdAt) {
    query.andWhere(
      `${alias}.createdAt <= :afterTime AND (${alias}.createdAt < :afterTime OR ${alias}.id < :afterId)`,
      { afterTime: page.after.createdAt, afterId: page.after.id },
    );
  }
  query.addOrderBy(`${alias}.createdAt`, 'DESC').addOrderBy(`${alias}.id`, 'DESC');
  const rows = await asking(() => query.limit(page.limit + 1).getMany());
  return cut(rows, page.limit, (row) => ({ id: row.id, createdAt: row.createdAt }));
}

/** An empty page. */
export const NOTHING = { rows: [], next: undefined };

function cut<T>(rows: T[], limit: number, keyOf: (row: T) => PageKey): PageOf<T> {
  const last = rows[limit - 1];
  return { rows: rows.slice(0, limit), next: rows.length > limit && last ? keyOf(last) : undefined };
}

/** Runs one statement outside of a transaction; a lost connection becomes `database_unavailable`. */
export async function select<T>(
  ds: DataSource | EntityManager,
  sql: string,
  values: unknown[] = [],
): Promise<T[]> {
  return asking(() => ds.query<T[]>(sql, values));
}
