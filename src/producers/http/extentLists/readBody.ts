// The entry of this folder: the route knows nothing of how a list is read.
import type { Readable } from 'node:stream';
import { EXTENTS_BODY_LIMIT } from '../../../contract/index.js';
import { StrataError } from '../../../shared/errors.js';
import { createJsonReader } from './json.js';
import { createLineReader } from './lines.js';
import type { TakeExtent } from './types.js';

/** The media types of a change list. */
export const EXTENT_LIST_TYPES = ['application/json', 'text/plain'] as const;

/**
 * Reads a change list from a request's body as it arrives; of the body no more is held than one piece.
 * @throws extents_invalid, body_too_large, invalid_request when the body breaks off, and what `take` throws
 */
export async function readExtentList(body: Readable, mediaType: string, take: TakeExtent): Promise<void> {
  const reader = mediaType.startsWith('application/json') ? createJsonReader(take) : createLineReader(take);
  let bytes = 0;
  try {
    // Destroying the body would destroy the connection before the answer is sent.
    for await (const chunk of body.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      if (bytes > EXTENTS_BODY_LIMIT) {
        throw new StrataError('body_too_large', `A change list has at most ${EXTENTS_BODY_LIMIT} bytes.`);
      }
      reader.push(chunk);
    }
    reader.end();
  } catch (error) {
    // A client that goes on sending must be able to end, or it never reads the answer.
    body.resume();
    if (error instanceof StrataError) throw error;
    throw new StrataError('invalid_request', 'The change list broke off.', { cause: error });
  }
}
