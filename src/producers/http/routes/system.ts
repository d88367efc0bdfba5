import { Type } from 'typebox';
import { Healthz, MetricsTargets, Readyz } from '../../../contract/index.js';
import { liveProcesses } from '../../../db/fleet/processes.js';
import { type Api, API_PREFIX, type HttpDeps } from '../deps.js';
import { databaseNow } from '../../../db/job/changes.js';
import { abortable, withDeadline } from '../../../shared/abort.js';
import { asStrataError, StrataError } from '../../../shared/errors.js';

const tags = ['system'];

/** Probes and metrics: below the base path, and at the root, where probes and Prometheus look by default. */
export function systemRoutes(app: Api, deps: HttpDeps): void {
  for (const prefix of [API_PREFIX, '']) {
    probeRoutes(app, deps, prefix);
    metricsRoutes(app, deps, prefix);
  }
}

function probeRoutes(app: Api, deps: HttpDeps, prefix: string): void {
  const hide = prefix === '';
  app.get(
    `${prefix}/healthz`,
    {
      schema: {
        tags,
        hide,
        summary: 'Whether the process answers',
        security: [],
        response: { 200: Healthz },
      },
      config: { access: 'anyone' },
    },
    async () => ({ status: 'ok' as const }),
  );
  app.get(
    `${prefix}/readyz`,
    {
      schema: {
        tags,
        hide,
        summary: 'Whether database and Redis answer',
        security: [],
        response: { 200: Readyz },
      },
      config: { access: 'anyone' },
    },
    async () => {
      await checkReadiness(deps);
      return { status: 'ready' as const, checks: { database: 'ok' as const, redis: 'ok' as const } };
    },
  );
}

function metricsRoutes(app: Api, deps: HttpDeps, prefix: string): void {
  const hide = prefix === '';
  app.get(
    `${prefix}/metrics`,
    {
      schema: {
        tags,
        hide,
        summary: "This process's metrics",
        produces: ['text/plain'],
        response: { 200: Type.String() },
      },
      config: { access: 'viewer' },
    },
    async (_request, reply) => {
      const { registry } = deps.metrics;
      return reply.type(registry.contentType).send(await registry.metrics());
    },
  );
  app.get(
    `${prefix}/metrics/targets`,
    {
      schema: {
        tags,
        hide,
        summary: "The fleet's metrics endpoints, for Prometheus's http_sd_config",
        response: { 200: MetricsTargets },
      },
      config: { access: 'viewer' },
    },
    async () =>
      (await liveProcesses(deps.ds)).flatMap(({ id, role, host, pools, metricsAddress }) =>
        metricsAddress === null
          ? []
          : [{ targets: [metricsAddress], labels: { process: id, role, host, pools: pools.join(',') } }],
      ),
  );
}

/** A service that takes longer is as good as gone for who asks. */
const PATIENCE_MS = 2_000;

/**
 * Asks database and Redis for an answer.
 * @throws database_unavailable or queue_unavailable, with one field for each that does not answer
 */
async function checkReadiness(deps: Pick<HttpDeps, 'ds' | 'pingRedis'>): Promise<void> {
  const [database, redis] = await Promise.all([
    answers('database', () => databaseNow(deps.ds)),
    answers('redis', deps.pingRedis),
  ]);
  if (database === undefined && redis === undefined) return;
  const fields = [
    ...(database === undefined ? [] : [{ field: 'database', message: 'does not answer' }]),
    ...(redis === undefined ? [] : [{ field: 'redis', message: 'does not answer' }]),
  ];
  const code = database === undefined ? 'queue_unavailable' : 'database_unavailable';
  throw new StrataError(code, 'Not ready: see errors.', { fields, cause: database ?? redis });
}

async function answers(what: string, ask: () => Promise<unknown>): Promise<StrataError | undefined> {
  const deadline = withDeadline(undefined, PATIENCE_MS, what);
  try {
    await abortable(ask(), deadline.signal);
    return undefined;
  } catch (error) {
    return asStrataError(error);
  } finally {
    deadline.clear();
  }
}
