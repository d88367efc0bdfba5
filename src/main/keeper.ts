import { runKeeper } from '../producers/keeper/keeper.js';
import { joinFleet } from './fleet.js';
import { serveMetrics } from './metricsServer.js';
import { runMain } from './shutdown.js';
import { readProcess, wire } from './wire.js';

const { settings, log } = readProcess('keeper');

await runMain(log, async () => {
  const wiring = await wire('keeper', settings, log);
  const { shutdown, metrics } = wiring;
  const metricsServer = await serveMetrics(metrics);
  shutdown.onClose('metrics', metricsServer.close);
  await joinFleet(wiring, { role: 'keeper', metricsAddress: metricsServer.address });
  const keeping = runKeeper({ ...wiring, sweepEveryMs: settings.sweepEveryMs, signal: shutdown.signal });
  shutdown.onClose('keeper', () => keeping);
  log.info('keeping');
});
