import { StrataError } from '../../shared/errors.js';

/** DATETIME ends with the year 9999. */
const LAST_YEAR = 9999;

/**
 * Reads an instant in the future.
 * @throws invalid_request with the field
 */
export function readFuture(text: string, field: string, now: Date): Date {
  const instant = new Date(text);
  if (Number.isNaN(instant.getTime()) || instant <= now || instant.getUTCFullYear() > LAST_YEAR) {
    throw new StrataError('invalid_request', `${field} is an instant in the future.`, { field });
  }
  return instant;
}
