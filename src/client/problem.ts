import { isErrorCode } from '../shared/errorCodes.js';
import { type FieldError, StrataError } from '../shared/errors.js';
import { isKnownDamage } from '../shared/knownDamage.js';

/**
 * Makes a StrataError of a response that is not 2xx: the problem's own code, `internal` for one that this client does
 * not know. `details.status` is the HTTP status, `details.retry_after_seconds` the server's advice if it gave any,
 * `details.damage` what it knows of a damaged backup.
 */
export function problemToError(response: Response, body: string): StrataError {
  const problem = parseObject(body);
  const code = problem['code'];
  const text = [problem['detail'], problem['title']].find(
    (value) => typeof value === 'string' && value !== '',
  );
  const retryAfter = Number(response.headers.get('retry-after') ?? Number.NaN);
  return new StrataError(
    isErrorCode(code) ? code : 'internal',
    typeof text === 'string' ? text : `The server answered ${response.status} ${response.statusText}.`,
    {
      fields: fieldErrors(problem['errors']),
      details: {
        status: response.status,
        ...(code === undefined || isErrorCode(code) ? {} : { unknown_code: code }),
        ...(isKnownDamage(problem['damage']) ? { damage: problem['damage'] } : {}),
        ...(Number.isFinite(retryAfter) ? { retry_after_seconds: retryAfter } : {}),
      },
    },
  );
}

/** A proxy's HTML page or an empty body has no fields to show; its status tells enough. */
function parseObject(body: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(body);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  } catch (error) {
    if (error instanceof SyntaxError) return {};
    throw error;
  }
}

function fieldErrors(value: unknown): FieldError[] {
  if (!Array.isArray(value)) return [];
  return value.flatMap((entry: unknown) => {
    if (typeof entry !== 'object' || entry === null) return [];
    const { field, message } = entry as Record<string, unknown>;
    return typeof field === 'string' && typeof message === 'string' ? [{ field, message }] : [];
  });
}
