import { accessSync, constants } from 'node:fs';
import { chmod } from 'node:fs/promises';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { testRun } from '../../../../helpers/testRun.js';

/** `nobody` of Debian and most other systems; it owns nothing. */
const NOBODY = 65_534;

/** Whether what is needed to run at all may be read by everybody: a clone in root's own directory may not. */
export function canBeNobody(): boolean {
  if (process.getuid?.() !== 0) return true;
  process.seteuid?.(NOBODY);
  try {
    accessSync(fileURLToPath(import.meta.url), constants.R_OK);
    return true;
  } catch {
    return false;
  } finally {
    process.seteuid?.(0);
  }
}

/**
 * Does something as a user who is not root: root may read every file, whatever its mode says. The whole process, and what it
 * starts meanwhile, is that user.
 * @param path a directory that has to be reachable
 */
export async function asNobody<T>(path: string, work: () => Promise<T>): Promise<T> {
  if (process.getuid?.() !== 0) return work();
  // The suite's directories are private to their owner; what holds them all is not touched.
  for (let at = path; at.startsWith(testRun.dir); at = dirname(at)) await chmod(at, 0o755);
  process.seteuid?.(NOBODY);
  try {
    return await work();
  } finally {
    process.seteuid?.(0);
  }
}
