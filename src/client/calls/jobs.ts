import type { CancelResult, Job, JobEvent } from '../../contract/index.js';
import { throwIfAborted } from '../../shared/abort.js';
import { StrataError, isStrataError } from '../../shared/errors.js';
import { readEvents } from '../eventStream.js';
import { type CallOptions, path, type Transport } from '../transport.js';
import { keyOf } from './options.js';

export interface JobCalls {
  get(id: string, options?: CallOptions): Promise<Job>;
  /** Cancels a job of any kind; `accepted` is false when it was cancelled before. @throws wrong_state when it has ended */
  cancel(id: string, options?: CallOptions): Promise<CancelResult>;
  /**
   * Changes of jobs as they happen; of one job with `job_id`. Connects again when the connection breaks, so a change may
   * be missed: `get` tells the truth. Ends when the signal aborts or the loop is left.
   */
  events(query?: { job_id?: string }, options?: CallOptions): AsyncGenerator<JobEvent>;
}

/** Pause before connecting again to a stream that broke. */
const RECONNECT_MS = 1000;

export function jobCalls(transport: Transport): JobCalls {
  return {
    get: (id, options) => transport.call({ method: 'GET', path: path('jobs', id) }, options),
    cancel: (id, options) =>
      transport.call(
        { method: 'POST', path: path('jobs', id, 'cancel'), idempotencyKey: keyOf(undefined) },
        options,
      ),
    events: (query, options) => followEvents(transport, query, options),
  };
}

async function* followEvents(
  transport: Transport,
  query: { job_id?: string } | undefined,
  options: CallOptions = {},
): AsyncGenerator<JobEvent> {
  for (;;) {
    throwIfAborted(options.signal);
    try {
      yield* oneConnection(transport, query, options);
    } catch (error) {
      throwIfAborted(options.signal);
      if (!isStrataError(error, 'api_unreachable')) throw error;
    }
    await transport.clock.sleep(RECONNECT_MS, options.signal);
  }
}

async function* oneConnection(
  transport: Transport,
  query: { job_id?: string } | undefined,
  options: CallOptions,
): AsyncGenerator<JobEvent> {
  const response = await transport.open(
    { method: 'GET', path: path('events'), query, headers: { accept: 'text/event-stream' } },
    options,
  );
  if (!response.body) return;
  // Leaving the loop early ends the iteration of the body, which closes the connection.
  const events = readEvents(response.body);
  try {
    for await (const { event, data } of events) if (event === 'job') yield parseEvent(data);
  } catch (error) {
    // `fetch` ends a broken body with a TypeError.
    if (!(error instanceof TypeError)) throw error;
    throw new StrataError('api_unreachable', 'The event stream broke.', { cause: error });
  }
}

function parseEvent(data: string): JobEvent {
  try {
    return JSON.parse(data) as JobEvent;
  } catch (error) {
    throw new StrataError('internal', 'An event is not JSON.', { cause: error });
  }
}
