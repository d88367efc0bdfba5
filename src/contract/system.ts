// One file for each noun of the API; all are imported through the index.
import { type Static, Type } from 'typebox';
import { closed } from './common.js';

export const Healthz = closed({ status: Type.Literal('ok') });
export type Healthz = Static<typeof Healthz>;

export const Readyz = closed({
  status: Type.Literal('ready'),
  checks: closed({ database: Type.Literal('ok'), redis: Type.Literal('ok') }),
});
export type Readyz = Static<typeof Readyz>;

/** Prometheus's HTTP service discovery (`http_sd_config`). */
export const MetricsTargets = Type.Array(
  closed({
    targets: Type.Array(Type.String({ description: 'host:port' })),
    labels: Type.Record(Type.String(), Type.String()),
  }),
);
export type MetricsTargets = Static<typeof MetricsTargets>;
