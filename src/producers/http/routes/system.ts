import { Type } from 'typebox';
import { Healthz, MetricsTargets, Readyz } from '../../../contract/index.js';
import { liveProcesses } from '../../../db/fleet/processes.js';
import { type Api, API_PREFIX, type HttpDeps } from '../deps.js';
import { checkReadiness } from '../readiness.js';

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
