import { resolve } from 'node:path';
import { StrataError } from '../shared/errors.js';
import type { PushSettings } from '../shared/pushSettings.js';
import { Reader } from './reader.js';
import { hostname } from 'node:os';
import { isIP } from 'node:net';

/** Everything that can be set from outside; `.env.example` lists the variables with their meaning. */
export interface Settings {
  dataDir: string;
  /** Undefined: the embedded MariaDB. */
  databaseUrl: string | undefined;
  /** Undefined: the embedded Redis. */
  redisUrl: string | undefined;
  listen: { host: string; port: number };
  /** Pools whose file systems this host mounts. */
  pools: string[];
  /** Directories (real paths) that `file` sources may lie in. */
  sourceRoots: string[];
  /** Directories that restores may write to. */
  restoreRoots: string[];
  /** What NBD servers may be read: hosts, `host:port`, URI prefixes, unix socket directories, or `*` (docs/operations.md). */
  nbdAllow: string[];
  /** Whether QEMU tools parse sources in a sandbox: where the host allows it, or no worker starts without, or never. */
  sandbox: 'auto' | 'required' | 'off';
  /** How long an NBD server may be silent while it owes an answer. */
  nbdTimeoutMs: number;
  push: PushSettings;
  logLevel: 'trace' | 'debug' | 'info' | 'warn' | 'error';
  logPretty: boolean;
  /** Jobs that one worker process runs at a time, per queue. */
  concurrency: { backup: number; maintenance: number; restore: number };
  lease: { leaseMs: number; renewEveryMs: number };
  /** How long a stopping worker lets its jobs go on. */
  graceMs: number;
  /** How long database and Redis may owe an answer before the connection counts as dead. */
  answerMs: number;
  sweepEveryMs: number;
  /** How often the keeper compares catalogue and files. */
  reconcileEveryMs: number;
  /** Days after which the keeper removes what was set aside; 0: never. */
  quarantineDays: number;
  /** Days after which maintenance jobs that have ended leave the database. */
  maintenanceHistoryDays: number;
  /** Layers after which a chain gets a synthetic full, where its repository says nothing. */
  chainLimit: number;
  attempts: number;
  jobDeadlineMs: number;
  redisPrefix: string;
  backlogLimit: number;
  /** Blocks that an audit of the tracker reads, at most which part of the disk (in millionths), and for how many backups a liar is not asked. */
  audit: { blocks: number; ppm: number; distrustBackups: number };
  /** How long a backup waits for a change list that is to follow its request. */
  extentsWaitMs: number;
  /** How often the restore points of a VM with a policy are looked through, beside after each run. */
  retentionEveryMs: number;
  /** How often the keeper reads how full the repositories are. */
  capacityEveryMs: number;
  webhooks: {
    /** How long a receiver may take to answer. */
    timeoutMs: number;
    /** How old an event may become before nobody tries to deliver it any more. */
    giveUpMs: number;
  };
}

/** Node's timers go no further. */
const LONGEST_TIMER_MS = 2_147_483_647;
const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error'] as const;

/**
 * Reads and checks the environment.
 * @param env usually `process.env`
 * @throws invalid_configuration that lists every wrong variable at once
 */
export function readSettings(env: NodeJS.ProcessEnv, projectDir: string): Settings {
  const read = new Reader(env);
  const dataDir = resolve(read.text('STRATA_DATA_DIR', resolve(projectDir, '.strata')));
  const settings: Settings = {
    dataDir,
    ...readAddresses(read),
    ...readAccess(read, dataDir),
    push: readPush(read, dataDir),
    ...readJobs(read),
    ...readKeeper(read),
  };
  // Three renewals must fit into a lease, or one slow statement costs it.
  if (settings.lease.renewEveryMs * 3 > settings.lease.leaseMs) {
    read.complain('STRATA_LEASE_RENEW_MS', 'is at most a third of STRATA_LEASE_MS');
  }
  if (read.complaints.length > 0) {
    const lines = read.complaints.map(({ field, message }) => `${field} ${message}`);
    throw new StrataError(
      'invalid_configuration',
      `The configuration is not valid:\n  ${lines.join('\n  ')}`,
      {
        fields: read.complaints,
      },
    );
  }
  return settings;
}

function readAddresses(read: Reader) {
  return {
    databaseUrl: read.url('STRATA_DATABASE_URL', ['mysql:', 'mariadb:']),
    redisUrl: read.url('STRATA_REDIS_URL', ['redis:', 'rediss:', 'unix:']),
    redisPrefix: read.text('STRATA_REDIS_PREFIX', 'strata'),
    listen: read.address('STRATA_LISTEN', '127.0.0.1:7420'),
    nbdTimeoutMs: read.integer('STRATA_NBD_TIMEOUT_MS', 30_000, 500, 3_600_000),
    logLevel: read.oneOf('STRATA_LOG_LEVEL', LOG_LEVELS, 'info'),
    logPretty: read.flag('STRATA_LOG_PRETTY', false),
  };
}

function readAccess(read: Reader, dataDir: string) {
  return {
    pools: read.names('STRATA_POOLS', ['default']),
    sourceRoots: read.paths('STRATA_SOURCE_ROOTS', [resolve(dataDir, 'sources')]),
    restoreRoots: read.paths('STRATA_RESTORE_ROOTS', [resolve(dataDir, 'restores')]),
    nbdAllow: read.list('STRATA_NBD_ALLOW', ['127.0.0.1', 'localhost']),
    sandbox: read.oneOf('STRATA_SANDBOX', ['auto', 'required', 'off'] as const, 'auto'),
  };
}

function readJobs(read: Reader) {
  return {
    concurrency: {
      backup: read.integer('STRATA_BACKUP_CONCURRENCY', 2, 1, 64),
      maintenance: read.integer('STRATA_MAINTENANCE_CONCURRENCY', 1, 1, 64),
      restore: read.integer('STRATA_RESTORE_CONCURRENCY', 2, 1, 64),
    },
    lease: {
      leaseMs: read.integer('STRATA_LEASE_MS', 20_000, 1_000, 600_000),
      renewEveryMs: read.integer('STRATA_LEASE_RENEW_MS', 5_000, 100, 200_000),
    },
    graceMs: read.integer('STRATA_GRACE_MS', 30_000, 0, 86_400_000),
    attempts: read.integer('STRATA_ATTEMPTS', 3, 1, 100),
    jobDeadlineMs: read.integer('STRATA_JOB_DEADLINE_MS', 86_400_000, 1_000, LONGEST_TIMER_MS),
    audit: {
      blocks: read.integer('STRATA_AUDIT_BLOCKS', 64, 0, 100_000),
      ppm: read.integer('STRATA_AUDIT_PPM', 1_000, 1, 1_000_000),
      distrustBackups: read.integer('STRATA_TRACKER_DISTRUST', 10, 0, 1_000_000),
    },
    extentsWaitMs: read.integer('STRATA_EXTENTS_WAIT_MS', 600_000, 1_000, 86_400_000),
    backlogLimit: read.integer('STRATA_BACKLOG_LIMIT', 100_000, 1, 100_000_000),
  };
}

function readKeeper(read: Reader) {
  return {
    answerMs: read.integer('STRATA_ANSWER_MS', 30_000, 3_000, 600_000),
    sweepEveryMs: read.integer('STRATA_SWEEP_MS', 5_000, 100, 600_000),
    reconcileEveryMs: read.integer('STRATA_RECONCILE_MS', 21_600_000, 1_000, LONGEST_TIMER_MS),
    quarantineDays: read.integer('STRATA_QUARANTINE_DAYS', 30, 0, 36_500),
    maintenanceHistoryDays: read.integer('STRATA_MAINTENANCE_HISTORY_DAYS', 90, 1, 36_500),
    chainLimit: read.integer('STRATA_CHAIN_LIMIT', 30, 2, 200),
    retentionEveryMs: read.integer('STRATA_RETENTION_MS', 3_600_000, 1_000, LONGEST_TIMER_MS),
    capacityEveryMs: read.integer('STRATA_CAPACITY_MS', 60_000, 1_000, LONGEST_TIMER_MS),
    webhooks: {
      timeoutMs: read.integer('STRATA_WEBHOOK_TIMEOUT_MS', 10_000, 100, 300_000),
      giveUpMs: read.integer('STRATA_WEBHOOK_GIVE_UP_MS', 259_200_000, 1_000, LONGEST_TIMER_MS),
    },
  };
}

const TLS = ['none', 'psk', 'x509'] as const;
const WILDCARDS = ['0.0.0.0', '::'];

/** Reads the variables of push mode. Beyond loopback, doing without TLS has to be said: the export's name is no secret there. */
function readPush(read: Reader, dataDir: string): PushSettings {
  const address = read.text('STRATA_PUSH_ADDRESS', '127.0.0.1');
  if (isIP(address) === 0)
    read.complain('STRATA_PUSH_ADDRESS', 'is an IP address, such as 127.0.0.1 or 0.0.0.0');
  const socketDir = read.paths('STRATA_PUSH_SOCKET_DIR', [])[0];
  const unsaid = read.text('STRATA_PUSH_TLS', '') === '';
  if (unsaid && socketDir === undefined && !isLoopback(address)) {
    read.complain(
      'STRATA_PUSH_TLS',
      'is psk or x509 where STRATA_PUSH_ADDRESS is not loopback, or none for a trusted network',
    );
  }
  return {
    address,
    host: read.text('STRATA_PUSH_HOST', WILDCARDS.includes(address) ? hostname() : address),
    ports: read.portRange('STRATA_PUSH_PORTS', { first: 10_810, last: 10_899 }),
    socketDir,
    tls: read.oneOf('STRATA_PUSH_TLS', TLS, 'none'),
    tlsDir: read.paths('STRATA_PUSH_TLS_DIR', [resolve(dataDir, 'push-tls')])[0] ?? '',
    connections: read.integer('STRATA_PUSH_CONNECTIONS', 16, 1, 256),
    silenceMs: read.integer('STRATA_PUSH_SILENCE_MS', 600_000, 1_000, 86_400_000),
  };
}

function isLoopback(address: string): boolean {
  return address === '::1' || /^127\.\d+\.\d+\.\d+$/.test(address);
}
