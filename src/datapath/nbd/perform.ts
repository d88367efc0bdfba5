import { throwIfAborted } from '../../shared/abort.js';
import { StrataError } from '../../shared/errors.js';
import { requestFailed } from './errors.js';
import type { Expectation } from './expectation.js';
import type { NbdRequest, Transmission } from './transmission.js';
import type { NbdExportInfo, NbdRequestOptions } from './types.js';

/** Sends one request unless the signal has aborted, and throws what the server reported. `what` completes "failed ...". */
export type Perform = (
  what: string,
  request: NbdRequest,
  options?: NbdRequestOptions,
) => Promise<Expectation>;

export function createPerform(transmission: Transmission): Perform {
  return async (what, request, options) => {
    throwIfAborted(options?.signal);
    const answer = await transmission.submit(request);
    if (answer.failure) throw requestFailed(`${what} ${request.offset}+${request.length}`, answer.failure);
    return answer;
  };
}

/** @throws nbd_refused on a read-only export, and what checkRange throws */
export function checkWritable(info: NbdExportInfo, offset: number, length: number): void {
  if (info.flags.readOnly) throw new StrataError('nbd_refused', 'The NBD export is read-only.');
  checkRange(info, offset, length);
}

/**
 * @throws nbd_out_of_bounds for numbers that are no whole bytes, a range beyond the end, or one that is not aligned to
 * the server's minimum block size (the end of the export counts as aligned)
 */
export function checkRange({ sizeBytes, block }: NbdExportInfo, offset: number, length: number): void {
  if (!Number.isSafeInteger(offset) || !Number.isSafeInteger(length) || offset < 0 || length < 0)
    throw outOfBounds('Offset and length must be whole bytes >= 0.', offset, length);
  const end = offset + length;
  if (end > sizeBytes)
    throw outOfBounds(`The range ends beyond the export's ${sizeBytes} bytes.`, offset, length);
  if (offset % block.minimum !== 0 || (end % block.minimum !== 0 && end !== sizeBytes))
    throw outOfBounds(`The range is not aligned to blocks of ${block.minimum} bytes.`, offset, length);
}

export function outOfBounds(message: string, offset: number, length: number): StrataError {
  return new StrataError('nbd_out_of_bounds', message, { details: { offset, length } });
}
