import { JOB_KINDS, type JobStatus } from '../../src/shared/jobs.js';
import { randomInt } from 'node:crypto';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLogger } from '../../src/observability/logger.js';
import { createMetrics } from '../../src/observability/metrics.js';
import { type AcceptDeps, createBacklog, registerRepository } from '../../src/producers/accept/index.js';
import { createSweeper } from '../../src/producers/keeper/sweep.js';
import { connectRedis } from '../../src/queue/connection.js';
import { createQueueSet, type QueueSet } from '../../src/queue/deliver.js';
import { JOB_TABLES, kindOfJob } from '../../src/db/job/kinds.js';
import { systemClock } from '../../src/shared/clock.js';
import { createSourceIdentities } from '../../src/services/backup/sameSource.js';
import { createSourceLook } from '../../src/services/backup/lookAtSource.js';
import type { LeaseSettings } from '../../src/services/job/runUnderLease.js';
import type { AuditSettings, PushRules, ServiceDeps } from '../../src/services/deps.js';
import type { WorkerDeps } from '../../src/workers/deps.js';
import { HANDLERS } from '../../src/workers/handlers.js';
import { type RunningWorker, startWorker } from '../../src/workers/startWorker.js';
import { type DatabaseSuite, openDatabaseSuite } from './openSuite.js';
import type { TestServers } from './servers.js';

/** Producers, queue, workers and keeper in one process, on a real Redis and MariaDB of their own. */
export interface TestFleet {
  suite: DatabaseSuite;
  accept: AcceptDeps;
  services: ServiceDeps;
  worker: WorkerDeps;
  queue: QueueSet;
  /** Where sources may lie, where restores go, and the root of the repository `main`. */
  sources: string;
  restores: string;
  repositoryId: string;
  repositoryRoot: string;
  /** Starts workers for all kinds; they are stopped by `close`. */
  work(concurrency?: number): void;
  stopWorking(graceMs?: number): Promise<void>;
  sweep(): Promise<void>;
  /** Waits until the job has ended, and says how. */
  ended(jobId: string, timeoutMs?: number): Promise<EndedJob>;
  close(): Promise<void>;
}

export interface EndedJob {
  status: JobStatus;
  error_code: string | null;
  error_detail: string | null;
}

export interface FleetOptions {
  audit?: Partial<AuditSettings>;
  lease?: Partial<LeaseSettings>;
  nbdAllow?: string[];
  /** How agents reach exports; a port of their own per fleet, of a range of its own, by default. */
  push?: Partial<PushRules>;
  /** Backups that may wait. */
  backlogLimit?: number;
  /** STRATA_NBD_TIMEOUT_MS of the workers; the default of the NBD client if not given. */
  nbdTimeoutMs?: number;
  /** Servers of the fleet's own, which a test may kill. */
  servers?: TestServers;
}

/** Opens a fleet with one repository, `main`, and no worker running yet. */
export async function openFleet(options: FleetOptions = {}): Promise<TestFleet> {
  const suite = await openDatabaseSuite(options.servers);
  const dirs = {
    sources: join(suite.tempDir, 'sources'),
    restores: join(suite.tempDir, 'restores'),
    root: join(suite.tempDir, 'repository'),
  };
  for (const path of Object.values(dirs)) await mkdir(path);
  const scratchDir = await mkdtemp(join(tmpdir(), 'run-'));
  const log = createLogger({ level: process.env.STRATA_TEST_LOG ?? 'silent', role: 'test' });
  const redis = connectRedis({ url: suite.redisUrl }, { use: 'worker', onError: () => undefined });
  const queue = createQueueSet(redis, suite.queuePrefix, systemClock);
  const metrics = createMetrics('test');
  const nbdAllow = options.nbdAllow ?? ['127.0.0.1', 'localhost', suite.tempDir, tmpdir()];
  const accept: AcceptDeps = {
    ds: suite.ds,
    queue,
    clock: systemClock,
    log,
    backlog: createBacklog(options.backlogLimit ?? 1000, systemClock),
    sourceLook: createSourceLook(),
    sourceIdentities: createSourceIdentities(systemClock),
    settings: {
      sourceRoots: [dirs.sources],
      restoreRoots: [dirs.restores],
      nbdAllow,
      extentsWaitMs: 60_000,
    },
  };
  const services: ServiceDeps = {
    ds: suite.ds,
    clock: systemClock,
    scratchDir,
    sourcePolicy: {
      roots: [dirs.sources],
      nbdAllow,
      ...(options.nbdTimeoutMs === undefined ? {} : { nbdTimeoutMs: options.nbdTimeoutMs }),
    },
    restoreRoots: [dirs.restores],
    push: pushRules(suite, options.push),
    audit: { blocks: 64, ppm: 1000, distrustBackups: 3, ...options.audit },
  };
  const lease = {
    owner: 'test',
    leaseMs: 20_000,
    renewEveryMs: 5_000,
    maxAttempts: 1,
    deadlineMs: 600_000,
    ...options.lease,
  };
  const worker: WorkerDeps = {
    services,
    handlers: HANDLERS,
    queue,
    redis,
    redisPrefix: suite.queuePrefix,
    lease,
    log,
    metrics,
  };
  const repository = await registerRepository(accept, {
    name: 'main',
    type: 'local',
    root_path: dirs.root,
    // A keeper would validate every new chain: backups would wait behind that where no worker serves maintenance.
    validate_quick_hours: 0,
    validate_deep_days: 0,
  });
  let workers: RunningWorker[] = [];
  const stopWorking = async (graceMs = 10_000) => {
    await Promise.all(workers.map((each) => each.stop(graceMs)));
    workers = [];
  };
  return {
    suite,
    accept,
    services,
    worker,
    queue,
    sources: dirs.sources,
    restores: dirs.restores,
    repositoryId: repository.id,
    repositoryRoot: dirs.root,
    work: (concurrency = 2) => {
      workers.push(...JOB_KINDS.map((kind) => startWorker(worker, kind, 'default', concurrency)));
    },
    stopWorking,
    sweep: createSweeper({
      ds: suite.ds,
      queue,
      clock: systemClock,
      log,
      metrics,
      stuckMs: lease.leaseMs,
    }),
    ended: (jobId, timeoutMs = 60_000) => waitForEnd(suite, jobId, timeoutMs),
    close: async () => {
      await stopWorking();
      await queue.close();
      redis.disconnect();
      await rm(scratchDir, { recursive: true, force: true });
      await suite.close();
    },
  };
}

const PORTS = 40;

/** A pool of ports of the fleet's own: suites run side by side. */
function pushRules(suite: DatabaseSuite, rules: Partial<PushRules> = {}): PushRules {
  const first = 20_000 + randomInt(10_000);
  return {
    node: suite.databaseName,
    address: '127.0.0.1',
    host: '127.0.0.1',
    ports: { first, last: first + PORTS - 1 },
    socketDir: undefined,
    tls: 'none',
    tlsDir: suite.tempDir,
    connections: 4,
    silenceMs: 60_000,
    patienceMs: 60_000,
    ...rules,
  };
}

async function waitForEnd(suite: DatabaseSuite, jobId: string, timeoutMs: number): Promise<EndedJob> {
  const deadline = performance.now() + timeoutMs;
  const table = JOB_TABLES[kindOfJob(jobId) ?? 'backup'];
  for (;;) {
    const rows = await suite.ds.query<EndedJob[]>(
      `SELECT status, error_code, error_detail FROM ${table} WHERE id = ?`,
      [jobId],
    );
    const job = rows[0];
    if (!job) throw new Error(`There is no job ${jobId}.`);
    if (!['queued', 'released', 'running'].includes(job.status)) return job;
    if (performance.now() > deadline)
      throw new Error(`Job ${jobId} is still ${job.status}: ${job.error_code} ${job.error_detail}`);
    await systemClock.sleep(20);
  }
}
