import type { Redis } from '../queue/connection.js';
import type { Logger } from '../observability/logger.js';
import type { Metrics } from '../observability/metrics.js';
import type { QueueSet } from '../queue/deliver.js';
import type { LeaseSettings } from '../services/job/runUnderLease.js';
import type { ServiceDeps } from '../services/deps.js';
import type { Handlers } from './handlers.js';

/** What a worker process is built with. */
export interface WorkerDeps {
  services: ServiceDeps;
  /** What a worker of each kind does with a job. */
  handlers: Handlers;
  queue: QueueSet;
  redis: Redis;
  redisPrefix: string;
  lease: LeaseSettings;
  log: Logger;
  metrics: Metrics;
}
