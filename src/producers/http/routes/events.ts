import type { FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import { EventsQuery, type JobEvent } from '../../../contract/index.js';
import { getJob } from '../../../db/job/list.js';
import { readCredentials } from '../credentials.js';
import { type Api, API_PREFIX, type HttpDeps } from '../deps.js';
import { type EventStream, openEventStream } from '../events/stream.js';
import { createJobWatch, type JobWatch } from '../events/watch.js';
import { securityHeaders } from '../securityHeaders.js';
import type { TokenCache } from '../tokenCache.js';
import { toJobEvent } from '../views/job.js';

/** A broken connection, or a token that works no more, is noticed within this time. */
const BEAT_MS = 15_000;

/** Server-sent events: every change of a job's state or progress, as it is seen in the database. */
export function eventRoutes(app: Api, deps: HttpDeps, tokens: TokenCache): void {
  const watch = createJobWatch(deps);
  const open = new Set<EventStream>();
  app.addHook('preClose', async () => {
    for (const stream of open) stream.end();
    await watch.close();
  });
  app.get(
    `${API_PREFIX}/events`,
    {
      schema: {
        tags: ['jobs'],
        summary: 'Follow all jobs, or one of them',
        description:
          'Server-sent events `job`, whose data is a JobEvent: first the jobs that are open, then every change. ' +
          'With `job_id`, only that job, beginning with its present state.',
        querystring: EventsQuery,
        produces: ['text/event-stream'],
        response: { 200: Type.String() },
      },
      config: { access: 'viewer' },
    },
    async (request, reply) => {
      const { job_id: jobId } = request.query;
      // Asked before the stream begins, so that an unknown job is a 404 and a lost database a 503.
      const first = jobId === undefined ? undefined : toJobEvent(await getJob(deps.ds, jobId));
      reply.hijack();
      let close: () => void = () => undefined;
      const headers = { ...securityHeaders(request.url), 'x-request-id': request.id };
      const stream = openEventStream(reply.raw, headers, () => close());
      open.add(stream);
      const stop = first ? followOne(deps, watch, stream, first) : followAll(watch, stream);
      const beat = setInterval(() => void beatOnce(request, stream, tokens), BEAT_MS);
      close = () => {
        clearInterval(beat);
        stop();
        open.delete(stream);
      };
    },
  );
}

function followAll(watch: JobWatch, stream: EventStream): () => void {
  return watch.listen((event) => stream.send('job', event));
}

/** Sends the present state first; what the watch has seen since the state was read is newer. */
function followOne(deps: HttpDeps, watch: JobWatch, stream: EventStream, first: JobEvent): () => void {
  let last = '';
  const send = (event: JobEvent) => {
    const text = JSON.stringify(event);
    if (text !== last) stream.send('job', event);
    last = text;
  };
  send(first);
  // The watch does not see a job that is cancelled in the middle of its chain's queue.
  const again = setInterval(() => {
    getJob(deps.ds, first.id).then(
      (job) => send(toJobEvent(job)),
      (error: unknown) => deps.log.warn({ err: error, jobId: first.id }, 'the job could not be read'),
    );
  }, BEAT_MS / 5);
  const stop = watch.listen((event) => {
    if (event.id === first.id) send(event);
  });
  return () => {
    clearInterval(again);
    stop();
  };
}

/** Ends the stream of a token that was removed or has expired. */
async function beatOnce(request: FastifyRequest, stream: EventStream, tokens: TokenCache): Promise<void> {
  try {
    const credentials = readCredentials(request.headers.authorization);
    if (credentials && (await tokens.find(credentials.token))) stream.comment('beat');
    else stream.end();
  } catch (error) {
    request.log.warn({ err: error }, 'the token of an event stream could not be checked');
  }
}
