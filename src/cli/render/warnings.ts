import type { VmRegistered } from '../../client/index.js';

/** What an answer says of the disks' sources, a line each. */
export function renderWarnings({ warnings = [] }: Pick<VmRegistered, 'warnings'>): string {
  return warnings
    .map(({ disk_id, code, message }) => `Warning: disk ${disk_id}: ${message} [${code}]\n`)
    .join('');
}
