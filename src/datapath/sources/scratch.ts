import { join } from 'node:path';
import { randomPart } from '../../shared/ids.js';

/** A new path for a unix socket. Short: a socket's path has at most 107 bytes. */
export function socketIn(scratchDir: string): string {
  return join(scratchDir, `${randomPart(10)}.sock`);
}
