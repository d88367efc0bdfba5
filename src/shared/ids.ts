import { randomBytes } from 'node:crypto';

const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz';

/** What an id names; the prefix makes a pasted id tell its kind. */
export type IdPrefix =
  | 'bkp'
  | 'rp'
  | 'repo'
  | 'mnt'
  | 'rst'
  | 'tok'
  | 'chn'
  | 'proc'
  | 'whk'
  | 'evt'
  | 'pol'
  | 'run';

/**
 * A new id such as `bkp_01jd3k9v0x2m4n6p8q0r2s4t6v`: prefix, 10 characters of time, 16 random ones (Crockford base 32,
 * as in ULID), so that ids sort by creation. Never used for ordering: `seq` is.
 */
export function newId(prefix: IdPrefix, now: Date): string {
  return `${prefix}_${timePart(now.getTime())}${randomPart(16)}`;
}

/** `length` random characters of the id alphabet (5 bits each). */
export function randomPart(length: number): string {
  let text = '';
  for (const byte of randomBytes(length)) text += ALPHABET.charAt(byte & 31);
  return text;
}

function timePart(ms: number): string {
  let text = '';
  let rest = ms;
  for (let i = 0; i < 10; i++) {
    text = ALPHABET.charAt(rest % 32) + text;
    rest = Math.floor(rest / 32);
  }
  return text;
}
