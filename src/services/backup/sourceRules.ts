import { isNbdAllowed } from '../../datapath/index.js';
import { parseNbdUri } from '../../datapath/nbd/index.js';
import { isStrataError, StrataError } from '../../shared/errors.js';

/**
 * What can be said of an NBD source without connecting: its URI, and, for TCP, whether its server is allowed. A unix
 * socket is judged by the worker, on whose host it is.
 * @throws invalid_request, nbd_not_allowed
 */
export function checkNbdSource(uri: string, allow: readonly string[], field: string): void {
  try {
    const address = parseNbdUri(uri);
    if (address.kind === 'unix' || isNbdAllowed(address, allow)) return;
  } catch (error) {
    if (!isStrataError(error)) throw error;
    throw new StrataError(error.code, error.message, { field, cause: error });
  }
  throw new StrataError('nbd_not_allowed', 'The NBD server is not in STRATA_NBD_ALLOW.', { field });
}
