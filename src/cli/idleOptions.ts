import { StrataError } from '../shared/errors.js';

/**
 * Refuses an option that would do nothing beside the others: whoever gives it believes that it does something.
 * @param given the option's value; undefined where it was not given
 * @param why the end of a sentence that begins with the option
 * @throws invalid_request
 */
export function refuseIdle(given: unknown, option: string, why: string): void {
  if (given === undefined) return;
  throw new StrataError('invalid_request', `${option} would do nothing: ${why}.`, { field: option });
}
