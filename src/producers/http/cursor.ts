import type { Page } from '../../contract/index.js';
import type { PageKey, PageOf, PageRequest } from '../../db/page.js';
import { StrataError } from '../../shared/errors.js';

const DEFAULT_LIMIT = 50;

/** The order of a list: its cursors hold a time, or an id alone. */
export type Order = 'id' | 'time';

/**
 * Reads `limit` and `cursor` of a query.
 * @throws invalid_request for a cursor that no page of such a list has given
 */
export function pageRequest(
  query: { limit?: number | undefined; cursor?: string | undefined },
  order: Order,
): PageRequest {
  const after = query.cursor === undefined ? undefined : readCursor(query.cursor, order);
  return { limit: query.limit ?? DEFAULT_LIMIT, after };
}

/** A page for the wire. */
export function toPage<Row, Item>(page: PageOf<Row>, toItem: (row: Row) => Item): Page<Item> {
  return { items: page.rows.map(toItem), next_cursor: page.next ? writeCursor(page.next) : null };
}

function writeCursor({ id, createdAt }: PageKey): string {
  const parts = createdAt ? [id, createdAt.toISOString()] : [id];
  return Buffer.from(JSON.stringify(parts)).toString('base64url');
}

function readCursor(text: string, order: Order): PageKey {
  const parts = parse(Buffer.from(text, 'base64url').toString('utf8'));
  const [id, time, ...more] = Array.isArray(parts) ? (parts as unknown[]) : [];
  const known = typeof id === 'string' && /^[A-Za-z0-9._-]{1,191}$/.test(id) && more.length === 0;
  if (known && order === 'id' && time === undefined) return { id };
  if (known && order === 'time' && typeof time === 'string' && ISO.test(time)) {
    return { id, createdAt: new Date(time) };
  }
  throw new StrataError('invalid_request', 'The cursor does not belong to this list.', { field: 'cursor' });
}

const ISO = /^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])T([01]\d|2[0-3]):[0-5]\d:[0-5]\d\.\d{3}Z$/;

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new StrataError('invalid_request', 'The cursor does not belong to this list.', {
      field: 'cursor',
      cause: error,
    });
  }
}
