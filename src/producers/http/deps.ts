import type { FastifyBaseLogger, FastifyInstance, RawServerDefault } from 'fastify';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { Metrics } from '../../observability/metrics.js';
import type { AcceptDeps } from '../accept/index.js';

/** What the HTTP API is built with. */
export interface HttpDeps extends AcceptDeps {
  metrics: Pick<Metrics, 'registry'>;
  /** Asks Redis for an answer; rejects when there is none. */
  pingRedis: () => Promise<unknown>;
  settings: AcceptDeps['settings'] & {
    /** Pools whose queues are shown even where no repository names them. */
    pools: string[];
  };
}

/** The server as the routes see it: handlers are typed by their schemas. */
export type Api = FastifyInstance<
  RawServerDefault,
  IncomingMessage,
  ServerResponse,
  FastifyBaseLogger,
  TypeBoxTypeProvider
>;

/** Every call but the probes, the pages and Bull Board is below this path. */
export const API_PREFIX = '/api/v1';
