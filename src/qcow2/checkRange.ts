import { StrataError } from '../shared/errors.js';

/** @throws invalid_request unless it is a whole number from 1 to `max` */
export function checkRange(name: string, value: number, max: number): number {
  if (!Number.isSafeInteger(value) || value < 1 || value > max) {
    throw new StrataError('invalid_request', `"${name}" is a whole number from 1 to ${max}.`);
  }
  return value;
}
