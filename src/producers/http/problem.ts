import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Problem } from '../../contract/index.js';
import { asDatabaseError } from '../../db/transaction.js';
import { ERRORS, type ErrorCode } from '../../shared/errorCodes.js';
import { StrataError } from '../../shared/errors.js';
import { escapeInvisibleJson } from '../../shared/invisible.js';
import { isKnownDamage } from '../../shared/knownDamage.js';

const MEDIA_TYPE = 'application/problem+json; charset=utf-8';
/** Seconds after which a caller that was turned away may try again. */
const RETRY_AFTER_SECONDS = 5;
const MOST_FIELDS = 20;

/** Fastify's errors that have a code of their own here; its other 4xx are `invalid_request`. */
const FASTIFY_CODES: Record<string, ErrorCode> = {
  FST_ERR_CTP_BODY_TOO_LARGE: 'body_too_large',
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'unsupported_media_type',
};

/** Makes a StrataError of anything that a route, a hook, a plugin or Fastify has thrown. */
export function toStrataError(error: unknown): StrataError {
  if (error instanceof StrataError) return error;
  if (error instanceof Error && 'statusCode' in error) {
    const { statusCode } = error;
    const code = 'code' in error && typeof error.code === 'string' ? FASTIFY_CODES[error.code] : undefined;
    if (code) return new StrataError(code, error.message, { cause: error });
    if (typeof statusCode === 'number' && statusCode >= 400 && statusCode < 500) {
      return new StrataError('invalid_request', error.message, { cause: error });
    }
  }
  return asDatabaseError(error);
}

/** The body of an error's answer. The message of a defect stays in the log: it may tell more than a caller should know. */
export function toProblem(error: StrataError, requestId: string): Problem {
  const { status, title } = ERRORS[error.code];
  const hidden = error.code === 'internal';
  const { damage } = error.details;
  return {
    type: `urn:strata:error:${error.code}`,
    title,
    status,
    detail: hidden ? `See the log of the API for request ${requestId}.` : error.message,
    code: error.code,
    errors: hidden ? [] : error.fields.slice(0, MOST_FIELDS),
    // Of the details nothing else: they are for the log, and name paths of the host.
    ...(isKnownDamage(damage) ? { damage } : {}),
    request_id: requestId,
  };
}

/** Answers a request with an error. */
export async function sendProblem(
  thrown: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const error = toStrataError(thrown);
  const problem = toProblem(error, request.id);
  const facts = { err: error, method: request.method, url: request.url, code: error.code };
  if (problem.status >= 500 && error.outcome !== 'wait') request.log.error(facts, 'request failed');
  else request.log.debug(facts, 'request refused');
  if (problem.status === 429 || problem.status === 503) reply.header('retry-after', RETRY_AFTER_SECONDS);
  return reply
    .code(problem.status)
    .type(MEDIA_TYPE)
    .send(escapeInvisibleJson(JSON.stringify(problem)));
}

/** Answers what is not HTTP at all, on the raw socket; returns the text to write. */
export function rawProblem(requestId: string, tooLarge: boolean): string {
  const error = new StrataError('invalid_request', 'The request is not HTTP/1.1 as RFC 9112 has it.');
  const status = tooLarge ? '431 Request Header Fields Too Large' : '400 Bad Request';
  const body = JSON.stringify({ ...toProblem(error, requestId), status: tooLarge ? 431 : 400 });
  return [
    `HTTP/1.1 ${status}`,
    `content-type: ${MEDIA_TYPE}`,
    `content-length: ${Buffer.byteLength(body)}`,
    'connection: close',
    '',
    body,
  ].join('\r\n');
}
