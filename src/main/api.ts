import 'reflect-metadata';
import { createHttpServer } from '../producers/http/index.js';
import { joinFleet } from './fleet.js';
import { runMain } from './shutdown.js';
import { readProcess, wire } from './wire.js';

/** The HTTP API: stateless, any number of them. */
const { settings, log } = readProcess('api');

await runMain(log, async () => {
  const wiring = await wire('api', settings, log);
  const server = createHttpServer({ ...wiring, pingRedis: () => wiring.redis.ping() });
  await server.listen(settings.listen);
  wiring.shutdown.onClose('http', () => server.close());
  const metricsAddress = `${settings.listen.host}:${settings.listen.port}`;
  await joinFleet(wiring, { role: 'api', metricsAddress });
  log.info({ address: metricsAddress }, 'listening');
});
