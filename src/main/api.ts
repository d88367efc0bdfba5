import 'reflect-metadata';
import { createHttpServer } from '../producers/http/index.js';
import { startIntake } from '../producers/intake/startIntake.js';
import { connectRedis } from '../queue/connection.js';
import { joinFleet } from './fleet.js';
import { runMain } from './shutdown.js';
import { readProcess, wire } from './wire.js';

/** The HTTP API: stateless, any number of them. */
const { settings, log } = readProcess('api');

await runMain(log, async () => {
  const wiring = await wire('api', settings, log);
  const server = createHttpServer({ ...wiring, pingRedis: () => wiring.redis.ping() });
  await server.listen(settings.listen);
  const onError = (error: Error) => log.warn({ err: error }, 'redis');
  const redis = connectRedis(
    { url: settings.redisUrl ?? '' },
    { use: 'worker', onError, answerMs: settings.answerMs },
  );
  wiring.shutdown.onClose('intake redis', () => redis.disconnect());
  const intake = startIntake(wiring, { redis, redisPrefix: settings.redisPrefix, pools: settings.pools });
  wiring.shutdown.onClose('intake', intake.stop);
  const metricsAddress = `${settings.listen.host}:${settings.listen.port}`;
  await joinFleet(wiring, { role: 'api', metricsAddress });
  // Closed first: nobody is let in any more while the rest waits for a database or a Redis that does not answer.
  wiring.shutdown.onClose('http', () => server.close());
  log.info({ address: metricsAddress }, 'listening');
});
