import type { IdPrefix } from '../shared/ids.js';
import { StrataError } from '../shared/errors.js';

interface Kind {
  prefix: IdPrefix;
  name: string;
  /** The command that lists them. */
  listedBy: string;
}

/** What commands take by its id. */
const KINDS = {
  backup: { prefix: 'bkp', name: 'a backup', listedBy: 'strata list' },
  restorePoint: { prefix: 'rp', name: 'a restore point', listedBy: 'strata points VM' },
  restore: { prefix: 'rst', name: 'a restore', listedBy: 'strata jobs' },
  maintenance: { prefix: 'mnt', name: 'maintenance', listedBy: 'strata jobs' },
} as const satisfies Record<string, Kind>;

/**
 * Refuses what cannot be an id of these kinds, and says what may be given and how it is listed.
 * @param more a sentence for what else the user may have meant
 * @throws invalid_request
 */
export function checkId(
  text: string,
  field: string,
  kinds: readonly (keyof typeof KINDS)[],
  more = '',
): string {
  const known: Kind[] = kinds.map((kind) => KINDS[kind]);
  if (known.some(({ prefix }) => new RegExp(`^${prefix}_[0-9a-z]{1,58}$`).test(text))) return text;
  const names = known.map(({ prefix, name }) => `${name} (${prefix}_...)`).join(' or ');
  const lists = [...new Set(known.map(({ listedBy }) => listedBy))].join(', ');
  const message = `"${text}" is not the id of ${names}. List them with: ${lists}.${more && ` ${more}`}`;
  throw new StrataError('invalid_request', message, { field });
}
