import { stat } from 'node:fs/promises';
import { errnoOf } from './errors.js';

/** True or false only where the answer is certain; any other trouble is thrown, never taken for absence (invariant 6). */
export async function fileExists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return false;
    throw error;
  }
}
