import 'reflect-metadata';
import { forgetDeadProcesses } from '../db/fleet/processes.js';
import { forgetOldKeys } from '../db/job/idempotency.js';
import { forgetDeliveries } from '../db/webhook/outbox.js';
import { createConsolidator } from '../producers/keeper/consolidate.js';
import { createHistoryKeeper } from '../producers/keeper/history.js';
import { createHoldKeeper } from '../producers/keeper/retention.js';
import { createPoolWatch } from '../producers/keeper/pools.js';
import { createQuarantineKeeper } from '../producers/keeper/quarantine.js';
import { runKeeper } from '../producers/keeper/keeper.js';
import { createReconciler } from '../producers/keeper/reconcile.js';
import { retain } from '../producers/keeper/retention.js';
import { createSpaceWatch } from '../producers/keeper/space.js';
import { createValidator } from '../producers/keeper/validate.js';
import { createNotifier } from '../producers/notify/notifier.js';
import { startSchedules } from '../producers/schedules/startSchedules.js';
import { connectRedis } from '../queue/connection.js';
import { joinFleet } from './fleet.js';
import { serveMetrics } from './metricsServer.js';
import { runMain } from './shutdown.js';
import { readProcess, wire } from './wire.js';

const DEAD_PROCESS_HOURS = 24;
/** A key is remembered for longer than any client repeats a request. */
const IDEMPOTENCY_DAYS = 7;
/** What was told, or given up, can be looked up for so long. */
const DELIVERY_DAYS = 14;

const { settings, log } = readProcess('keeper');

await runMain(log, async () => {
  const wiring = await wire('keeper', settings, log);
  const { shutdown, metrics } = wiring;
  const { signal } = shutdown;
  const metricsServer = await serveMetrics(metrics);
  shutdown.onClose('metrics', metricsServer.close);
  await joinFleet(wiring, { role: 'keeper', metricsAddress: metricsServer.address });
  const reconciler = createReconciler(wiring, { everyMs: settings.reconcileEveryMs, signal });
  shutdown.onClose('reconciliation', reconciler.settled);
  const notifier = createNotifier(wiring, { ...settings.webhooks, signal });
  shutdown.onClose('webhooks', notifier.settled);
  const space = createSpaceWatch(wiring, { everyMs: settings.capacityEveryMs, signal });
  shutdown.onClose('space', space.settled);
  const validator = createValidator(wiring, { signal });
  shutdown.onClose('validation', validator.settled);
  const onError = (error: Error) => log.warn({ err: error }, 'redis');
  const redis = connectRedis({ url: settings.redisUrl ?? '' }, { use: 'worker', onError });
  shutdown.onClose('schedules redis', () => redis.disconnect());
  const schedules = startSchedules(wiring, { redis, redisPrefix: settings.redisPrefix });
  shutdown.onClose('schedules', schedules.stop);
  const quarantine = createQuarantineKeeper(wiring, { days: settings.quarantineDays, signal });
  shutdown.onClose('quarantine', quarantine.settled);
  const holds = createHoldKeeper(wiring, { signal: shutdown.signal });
  shutdown.onClose('protections', holds.settled);
  const keeping = runKeeper({
    ...wiring,
    sweepEveryMs: settings.sweepEveryMs,
    stuckMs: settings.lease.leaseMs,
    signal,
    chores: [
      { name: 'dead processes', run: () => forgetDeadProcesses(wiring.ds, DEAD_PROCESS_HOURS) },
      { name: 'policies', run: schedules.run },
      { name: 'protections', run: holds.run },
      { name: 'retention', run: () => retain(wiring, settings.retentionEveryMs) },
      { name: 'space', run: space.run },
      { name: 'validation', run: validator.run },
      { name: 'webhooks', run: notifier.run },
      { name: 'old deliveries', run: () => forgetDeliveries(wiring.ds, DELIVERY_DAYS, 10_000) },
      { name: 'reconciliation', run: reconciler.run },
      { name: 'consolidation', run: createConsolidator(wiring, settings.chainLimit) },
      { name: 'quarantine', run: quarantine.run },
      { name: 'pools', run: createPoolWatch(wiring) },
      { name: 'old jobs', run: createHistoryKeeper(wiring, settings.maintenanceHistoryDays) },
      { name: 'idempotency keys', run: () => forgetOldKeys(wiring.ds, IDEMPOTENCY_DAYS, 10_000) },
    ],
  });
  shutdown.onClose('keeper', () => keeping);
  log.info('keeping');
});
