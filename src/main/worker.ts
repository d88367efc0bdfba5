import 'reflect-metadata';
import { JOB_KINDS, type JobKind } from '../shared/jobs.js';
import { hostname } from 'node:os';
import { parseArgs } from 'node:util';
import type { Settings } from '../config/settings.js';
import { connectRedis, type Redis } from '../queue/connection.js';
import type { Sandbox } from '../qcow2/index.js';
import { PUSH_PATIENCE_MS, type ServiceDeps } from '../services/deps.js';
import { StrataError } from '../shared/errors.js';
import type { WorkerDeps } from '../workers/deps.js';
import { HANDLERS } from '../workers/handlers.js';
import { startWorker } from '../workers/startWorker.js';
import { confineTools } from './confineTools.js';
import { joinFleet } from './fleet.js';
import { serveMetrics } from './metricsServer.js';
import { makeScratch } from './scratch.js';
import { runMain } from './shutdown.js';
import { readProcess, wire, type Wiring } from './wire.js';
import type { PushSettings } from '../shared/pushSettings.js';
import { readGateCredentials, removeDeadSockets } from '../datapath/index.js';

/** `worker.js --queue backup|maintenance|restore`: serves that queue of every pool in STRATA_POOLS. */
const { values } = parseArgs({ options: { queue: { type: 'string' } } });
const { settings, log } = readProcess(`worker-${values.queue ?? 'unknown'}`);

await runMain(log, async () => {
  const kind = queueKind(values.queue);
  if (kind === 'backup') await preparePushExports(settings.push);
  const wiring = await wire(`worker-${kind}`, settings, log);
  const { shutdown, metrics } = wiring;
  const scratch = await makeScratch(settings.dataDir);
  shutdown.onClose('scratch', scratch.remove);
  const metricsServer = await serveMetrics(metrics);
  shutdown.onClose('metrics', metricsServer.close);
  const onError = (error: Error) => log.warn({ err: error }, 'redis');
  const { answerMs } = settings;
  const redis = connectRedis({ url: settings.redisUrl ?? '' }, { use: 'worker', onError, answerMs });
  shutdown.onClose('worker redis', () => redis.disconnect());
  // Only sources are foreign: what a repository holds, Strata wrote (docs/security.md).
  const confinement = { mode: settings.sandbox, directory: scratch.path, log, metrics };
  const sandbox = kind === 'backup' ? await confineTools(confinement) : undefined;
  const deps = depsOf(wiring, scratch.path, redis, sandbox);
  // Before the work begins: what is opened last is closed first, and nothing may come between a signal and the workers.
  await joinFleet(wiring, { role: `worker-${kind}`, metricsAddress: metricsServer.address });
  const workers = settings.pools.map((pool) => startWorker(deps, kind, pool, settings.concurrency[kind]));
  shutdown.onHurry(() => {
    for (const worker of workers) worker.stopNow();
  });
  shutdown.onClose('workers', async () => {
    await Promise.all(workers.map((worker) => worker.stop(settings.graceMs)));
  });
  log.info({ kind, pools: settings.pools, concurrency: settings.concurrency[kind] }, 'working');
});

function depsOf(wiring: Wiring, scratchDir: string, redis: Redis, sandbox: Sandbox | undefined): WorkerDeps {
  return {
    services: {
      ds: wiring.ds,
      clock: wiring.clock,
      scratchDir,
      sourcePolicy: { ...sourcePolicyOf(settings), ...(sandbox ? { sandbox } : {}) },
      restoreRoots: settings.restoreRoots,
      push: { ...settings.push, node: hostname(), patienceMs: PUSH_PATIENCE_MS },
      audit: settings.audit,
    },
    handlers: HANDLERS,
    queue: wiring.queue,
    redis,
    redisPrefix: settings.redisPrefix,
    lease: {
      owner: wiring.owner,
      ...settings.lease,
      maxAttempts: settings.attempts,
      deadlineMs: settings.jobDeadlineMs,
    },
    log,
    metrics: wiring.metrics,
  };
}

function queueKind(text: string | undefined): JobKind {
  const kind = JOB_KINDS.find((candidate) => candidate === text);
  if (kind) return kind;
  throw new StrataError('invalid_configuration', `--queue is one of ${JOB_KINDS.join(', ')}.`, {
    field: '--queue',
  });
}

function sourcePolicyOf({ sourceRoots, nbdAllow, nbdTimeoutMs }: Settings): ServiceDeps['sourcePolicy'] {
  return { roots: sourceRoots, nbdAllow, nbdTimeoutMs };
}

/**
 * Fails now on what would fail every pushed backup later, and removes what killed workers have left.
 * @throws invalid_configuration
 */
async function preparePushExports({ tls, tlsDir, socketDir }: PushSettings): Promise<void> {
  if (tls !== 'none') await readGateCredentials(tls, tlsDir);
  if (socketDir !== undefined) await removeDeadSockets(socketDir);
}
