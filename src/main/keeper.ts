import 'reflect-metadata';
import { forgetDeadProcesses } from '../db/stores/fleet.js';
import { forgetOldKeys } from '../db/stores/idempotency.js';
import { runKeeper } from '../producers/keeper/keeper.js';
import { createReconciler } from '../producers/keeper/reconcile.js';
import { joinFleet } from './fleet.js';
import { serveMetrics } from './metricsServer.js';
import { runMain } from './shutdown.js';
import { readProcess, wire } from './wire.js';

const DEAD_PROCESS_HOURS = 24;
/** A key is remembered for longer than any client repeats a request. */
const IDEMPOTENCY_DAYS = 7;

const { settings, log } = readProcess('keeper');

await runMain(log, async () => {
  const wiring = await wire('keeper', settings, log);
  const { shutdown, metrics } = wiring;
  const metricsServer = await serveMetrics(metrics);
  shutdown.onClose('metrics', metricsServer.close);
  await joinFleet(wiring, { role: 'keeper', metricsAddress: metricsServer.address });
  const reconciler = createReconciler(wiring, {
    everyMs: settings.reconcileEveryMs,
    signal: shutdown.signal,
  });
  shutdown.onClose('reconciliation', reconciler.settled);
  const keeping = runKeeper({
    ...wiring,
    sweepEveryMs: settings.sweepEveryMs,
    stuckMs: settings.lease.leaseMs,
    signal: shutdown.signal,
    chores: [
      { name: 'dead processes', run: () => forgetDeadProcesses(wiring.ds, DEAD_PROCESS_HOURS) },
      { name: 'reconciliation', run: reconciler.run },
      { name: 'idempotency keys', run: () => forgetOldKeys(wiring.ds, IDEMPOTENCY_DAYS, 10_000) },
    ],
  });
  shutdown.onClose('keeper', () => keeping);
  log.info('keeping');
});
