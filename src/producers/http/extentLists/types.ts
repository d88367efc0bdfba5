import { StrataError } from '../../../shared/errors.js';
import type { Extent } from '../../../shared/extents.js';

/** Takes an extent; `field` says where it stands in the list. */
export type TakeExtent = (extent: Extent, field: string) => void;

/** Reads a change list piece by piece, wherever the pieces are cut. */
export interface ExtentListReader {
  /** @throws extents_invalid, and what taking an extent throws */
  push(bytes: Buffer): void;
  /** @throws extents_invalid when the list is not whole */
  end(): void;
}

/** Characters of one entry, blanks and comments included: what is longer is no entry that goes on in the next piece. */
export const LONGEST_ENTRY = 1024;

export function malformed(field: string, message: string): StrataError {
  return new StrataError('extents_invalid', message, { field });
}
