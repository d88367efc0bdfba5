import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

/** The process's metrics. Names follow Prometheus's conventions: base units, `_total` for counters. */
export interface Metrics {
  registry: Registry;
  jobsEnded: Counter<'kind' | 'outcome' | 'code'>;
  jobSeconds: Histogram<'kind' | 'type'>;
  bytesTransferred: Counter<'type'>;
  leasesLost: Counter<'noticed_by'>;
  demotions: Counter<'reason'>;
  validations: Counter<'level' | 'healthy'>;
  provedBytes: Counter;
  damagedBackups: Counter;
  auditedBlocks: Counter<'tracker'>;
  trackerLies: Counter;
  sweeps: Counter<'what'>;
  running: Gauge<'kind'>;
  toolsConfined: Gauge;
  webhookAttempts: Counter<'outcome'>;
  repositoryBytes: Gauge<'repository' | 'what'>;
  unservedQueues: Gauge<'pool' | 'kind'>;
  overdueChains: Gauge<'repository' | 'level'>;
  unvalidatedSeconds: Gauge<'repository' | 'level'>;
}

/** Creates a registry of its own: no global state, so that tests can have several. */
export function createMetrics(role: string): Metrics {
  const registry = new Registry();
  registry.setDefaultLabels({ role });
  collectDefaultMetrics({ register: registry });
  return { registry, ...createInstruments([registry]) };
}

function createInstruments(registers: Registry[]): Omit<Metrics, 'registry'> {
  return {
    ...jobInstruments(registers),
    ...validationInstruments(registers),
    ...trackerInstruments(registers),
    ...keeperInstruments(registers),
  };
}

function validationInstruments(registers: Registry[]) {
  return {
    validations: new Counter({
      name: 'strata_validations_total',
      help: 'Validations that came to their end, by what they found.',
      labelNames: ['level', 'healthy'],
      registers,
    }),
    provedBytes: new Counter({
      name: 'strata_proved_bytes_total',
      help: 'Bytes of backups that deep validations have read and compared.',
      registers,
    }),
    overdueChains: new Gauge({
      name: 'strata_validation_overdue_chains',
      help: 'Chains that were not validated for longer than their repository says, by level.',
      labelNames: ['repository', 'level'],
      registers,
    }),
    unvalidatedSeconds: new Gauge({
      name: 'strata_validation_oldest_seconds',
      help: 'For how long the chain was not validated that waits longest, by level.',
      labelNames: ['repository', 'level'],
      registers,
    }),
    damagedBackups: new Counter({
      name: 'strata_damaged_backups_found_total',
      help: 'Backups that a validation found damaged and that were not known to be.',
      registers,
    }),
  };
}

function jobInstruments(registers: Registry[]) {
  return {
    jobsEnded: new Counter({
      name: 'strata_jobs_ended_total',
      help: 'Jobs that ended, by outcome.',
      labelNames: ['kind', 'outcome', 'code'],
      registers,
    }),
    jobSeconds: new Histogram({
      name: 'strata_job_duration_seconds',
      help: 'From the lease to the commit.',
      labelNames: ['kind', 'type'],
      buckets: [0.1, 0.5, 1, 5, 30, 60, 300, 1800, 7200, 43200],
      registers,
    }),
    bytesTransferred: new Counter({
      name: 'strata_transferred_bytes_total',
      help: 'Payload bytes written to backups.',
      labelNames: ['type'],
      registers,
    }),
    leasesLost: new Counter({
      name: 'strata_leases_lost_total',
      help: 'Leases lost while a job ran, by what noticed it; `publish` and `commit` are stale attempts that the fence refused.',
      labelNames: ['noticed_by'],
      registers,
    }),
    demotions: new Counter({
      name: 'strata_demotions_total',
      help: 'Increments that became a full or compared the whole disk, by reason.',
      labelNames: ['reason'],
      registers,
    }),
    running: new Gauge({
      name: 'strata_jobs_running',
      help: 'Jobs running in this process.',
      labelNames: ['kind'],
      registers,
    }),
    toolsConfined: new Gauge({
      name: 'strata_tools_confined',
      help: 'Of a backup worker: 1 where QEMU tools parse sources in a sandbox, 0 where they have the rights of the worker.',
      registers,
    }),
  };
}

function trackerInstruments(registers: Registry[]) {
  return {
    auditedBlocks: new Counter({
      name: 'strata_tracker_audited_blocks_total',
      help: 'Blocks that a tracker called unchanged and that were compared.',
      labelNames: ['tracker'],
      registers,
    }),
    trackerLies: new Counter({
      name: 'strata_tracker_lies_total',
      help: 'Backups in which the audit found that the tracker had left changes out.',
      registers,
    }),
  };
}

function keeperInstruments(registers: Registry[]) {
  return {
    sweeps: new Counter({
      name: 'strata_swept_total',
      help: 'What the keeper repaired.',
      labelNames: ['what'],
      registers,
    }),
    repositoryBytes: new Gauge({
      name: 'strata_repository_bytes',
      help: 'Bytes of the file system of a repository: total, available, reserve.',
      labelNames: ['repository', 'what'],
      registers,
    }),
    unservedQueues: new Gauge({
      name: 'strata_unserved_queues',
      help: '1 for each pool of a repository and kind of job that no live worker serves.',
      labelNames: ['pool', 'kind'],
      registers,
    }),
    webhookAttempts: new Counter({
      name: 'strata_webhook_attempts_total',
      help: 'Attempts to tell a webhook of an event.',
      labelNames: ['outcome'],
      registers,
    }),
  };
}
