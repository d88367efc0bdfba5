import { abortReason, withDeadline } from '../shared/abort.js';
import { type Clock, systemClock } from '../shared/clock.js';
import { isStrataError, StrataError } from '../shared/errors.js';
import { problemToError } from './problem.js';

export interface ClientOptions {
  /** Where the API is, such as `http://127.0.0.1:7420`; `/api/v1` is added. */
  baseUrl: string;
  /** Bearer token; `healthz` and `readyz` need none. */
  token?: string | undefined;
  /** Node's global `fetch` by default. */
  fetch?: typeof globalThis.fetch | undefined;
  /** Deadline of one call with all its retries, in milliseconds. 30,000 by default. */
  timeoutMs?: number | undefined;
  clock?: Clock | undefined;
}

export interface CallOptions {
  signal?: AbortSignal | undefined;
}

/** Query values; undefined ones are left out. */
export type Query = Record<string, string | number | boolean | undefined>;

export interface ApiRequest {
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Path after `/api/v1`, encoded by `path`. */
  path: string;
  /** The path stands at the server's root: `/healthz`, `/readyz`. */
  atRoot?: boolean;
  query?: Query | undefined;
  body?: unknown;
  /** A body that is not JSON, with its media type. */
  raw?: { text: string; type: string } | undefined;
  /** A body that is sent as it is read, with its media type; read anew for every try. */
  stream?: { open: () => AsyncIterable<Uint8Array>; type: string } | undefined;
  /** Makes a POST that creates work safe to repeat: the server accepts it once. */
  idempotencyKey?: string | undefined;
  headers?: Record<string, string> | undefined;
  /** Deadline of this call, in milliseconds, where it takes longer than others. */
  timeoutMs?: number | undefined;
}

export interface Transport {
  /** The parsed body, or undefined when there is none (204). */
  call<T>(request: ApiRequest, options?: CallOptions): Promise<T>;
  /** The response as soon as its head is there; no deadline on its body, no retries. */
  open(request: ApiRequest, options?: CallOptions): Promise<Response>;
  clock: Clock;
}

const TIMEOUT_MS = 30_000;
/** Pauses before the second, third and fourth try. A reloading API is back within them. */
const RETRY_PAUSES_MS = [100, 400, 1000];

/**
 * Creates the one way in which the client speaks HTTP.
 * @throws invalid_request for a base URL that is not http(s)
 */
export function createTransport(options: ClientOptions): Transport {
  const base = parseBase(options.baseUrl);
  const clock = options.clock ?? systemClock;
  const timeoutMs = options.timeoutMs ?? TIMEOUT_MS;
  const send = (request: ApiRequest, signal: AbortSignal): Promise<Response> =>
    sendOnce(options.fetch ?? globalThis.fetch, base, options.token, request, signal);
  return {
    clock,
    call: async <T>(request: ApiRequest, { signal }: CallOptions = {}): Promise<T> => {
      const deadline = withDeadline(
        signal,
        request.timeoutMs ?? timeoutMs,
        noAnswer(base, request, request.timeoutMs ?? timeoutMs),
      );
      try {
        return await withRetries(request, clock, deadline.signal, async () => {
          const response = await send(request, deadline.signal);
          return (await readBody(response, deadline.signal)) as T;
        });
      } finally {
        deadline.clear();
      }
    },
    open: async (request, { signal } = {}) => {
      const own = new AbortController();
      const both = signal ? AbortSignal.any([signal, own.signal]) : own.signal;
      const timer = setTimeout(() => own.abort(noAnswer(base, request, timeoutMs)), timeoutMs);
      try {
        const response = await send(request, both);
        if (!response.ok) await readBody(response, both);
        return response;
      } finally {
        clearTimeout(timer);
      }
    },
  };
}

/** What a call's deadline throws. The server may have done what it was asked to: only the answer is missing. */
function noAnswer(base: string, { method, path: at }: ApiRequest, ms: number): StrataError {
  const seconds = ms / 1000;
  const unknown = method === 'GET' ? '' : ' Whether it was done is not known: look before you ask again.';
  return new StrataError(
    'deadline_exceeded',
    `The API at ${base} did not answer ${method} ${at} within ${seconds} s.${unknown}`,
    { details: { no_answer: true } },
  );
}

/** Encodes the parts of a path: `path('backups', id)` is `/backups/<id>`. */
export function path(...parts: (string | number)[]): string {
  return parts.map((part) => `/${encodeURIComponent(String(part))}`).join('');
}

/** Repeats what failed for lack of a connection, where a repetition can do no harm. */
async function withRetries<T>(
  request: ApiRequest,
  clock: Clock,
  signal: AbortSignal,
  attempt: () => Promise<T>,
): Promise<T> {
  for (const pauseMs of RETRY_PAUSES_MS) {
    try {
      return await attempt();
    } catch (error) {
      if (!isStrataError(error, 'api_unreachable') || !mayRepeat(request)) throw error;
    }
    await clock.sleep(pauseMs, signal);
  }
  return attempt();
}

/** Without a key, a POST whose answer was lost may have been carried out. */
function mayRepeat({ method, idempotencyKey }: ApiRequest): boolean {
  return method !== 'POST' || idempotencyKey !== undefined;
}

async function sendOnce(
  fetch: typeof globalThis.fetch,
  base: string,
  token: string | undefined,
  request: ApiRequest,
  signal: AbortSignal,
): Promise<Response> {
  const { method, raw, stream } = request;
  const text = raw?.text ?? (request.body === undefined ? undefined : JSON.stringify(request.body));
  const body = stream ? ReadableStream.from(stream.open()) : text;
  const type = stream?.type ?? raw?.type ?? 'application/json';
  const headers: Record<string, string> = {
    accept: 'application/json',
    ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    ...(body === undefined ? {} : { 'content-type': type }),
    ...(request.idempotencyKey === undefined ? {} : { 'idempotency-key': request.idempotencyKey }),
    ...request.headers,
  };
  const prefix = request.atRoot === true ? '' : '/api/v1';
  const url = base + prefix + request.path + queryString(request.query);
  try {
    // A redirect would carry the token to an address that nobody named.
    return await fetch(url, {
      method,
      headers,
      signal,
      redirect: 'error',
      ...(body === undefined ? {} : { body }),
      ...(stream ? { duplex: 'half' as const } : {}),
    });
  } catch (error) {
    throw connectionError(error, base, signal);
  }
}

async function readBody(response: Response, signal: AbortSignal): Promise<unknown> {
  let text: string;
  try {
    text = await response.text();
  } catch (error) {
    throw connectionError(error, response.url, signal);
  }
  if (!response.ok) throw problemToError(response, text);
  if (text === '') return undefined;
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new StrataError('internal', `${response.url} answers, but not as Strata's API does.`, {
      cause: error,
    });
  }
}

/** `fetch` throws the abort's reason, or a TypeError whose cause is the system error. */
function connectionError(error: unknown, base: string, signal: AbortSignal): Error {
  if (signal.aborted) return abortReason(signal);
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause.message : '';
  const detail = cause === '' ? '' : `: ${cause}`;
  return new StrataError('api_unreachable', `The API at ${base} does not answer${detail}.`, { cause: error });
}

function queryString(query: Query = {}): string {
  const given = Object.entries(query).flatMap(([name, value]): [string, string][] =>
    value === undefined ? [] : [[name, String(value)]],
  );
  if (given.length === 0) return '';
  return `?${new URLSearchParams(given).toString()}`;
}

function parseBase(text: string): string {
  if (!URL.canParse(text) || !['http:', 'https:'].includes(new URL(text).protocol)) {
    throw new StrataError('invalid_request', `"${text}" is not an http:// or https:// address.`, {
      field: 'url',
    });
  }
  return text.replace(/\/+$/, '').replace(/\/api\/v1$/, '');
}
