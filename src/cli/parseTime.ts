import { InvalidArgumentError } from 'commander';

/** Reads an instant for an option. @returns ISO 8601, UTC */
export function parseTime(text: string): string {
  const time = Date.parse(text);
  if (Number.isNaN(time)) throw new InvalidArgumentError('It is a time such as 2026-12-31T00:00:00Z.');
  return new Date(time).toISOString();
}
