import { isStrataError } from '../../src/shared/errors.js';

/** The code with which `work` rejects; `no error` if it does not; the text of an error that is not of ours. */
export async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
  } catch (error) {
    return isStrataError(error) ? error.code : `not a StrataError: ${String(error)}`;
  }
  return 'no error';
}
