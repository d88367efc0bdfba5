import type { Command } from 'commander';
import type { RepositoryPatch } from '../client/index.js';
import { orNone, parseCount, parseSize } from './numbers.js';

/** How often the chains of a repository are validated. */
export interface CadenceOptions {
  validateQuickHours?: number;
  validateDeepDays?: number;
  validateBytesPerHour?: number | 'none';
}

/** Adds the options to `repo add` and `repo set`. */
export function withCadence(command: Command): Command {
  return command
    .option('--validate-quick-hours <n>', 'validate every chain once in so many hours; 0: never', parseCount)
    .option('--validate-deep-days <n>', 'read every chain once in so many days; 0: never', parseCount)
    .option(
      '--validate-bytes-per-hour <size>',
      'what that may read in an hour, such as 100GiB; none: no limit',
      orNone(parseSize),
    );
}

/** The fields of a request. */
export function cadenceOf({
  validateQuickHours: quick,
  validateDeepDays: deep,
  validateBytesPerHour: bytes,
}: CadenceOptions): Pick<
  RepositoryPatch,
  'validate_quick_hours' | 'validate_deep_days' | 'validate_bytes_per_hour'
> {
  return {
    ...(quick === undefined ? {} : { validate_quick_hours: quick }),
    ...(deep === undefined ? {} : { validate_deep_days: deep }),
    ...(bytes === undefined ? {} : { validate_bytes_per_hour: bytes === 'none' ? null : bytes }),
  };
}
