// The fleet of one host under PM2. `strata up` runs it with a PM2_HOME of its own per data directory, so the names
// below may repeat from one data directory to the next. Everything is configured by STRATA_* variables.
import { join } from 'node:path';

const root = import.meta.dirname;
const logs = join(process.env.STRATA_DATA_DIR ?? join(root, '.strata'), 'logs');

// PM2 kills what has not ended by then, so it has to be longer than the processes' own grace time.
const graceMs = Number(process.env.STRATA_GRACE_MS || 30_000);
const killTimeout = graceMs + 15_000;

const app = (name, script, args = [], instances = 1) => ({
  name,
  script: join(root, 'dist', 'src', 'main', script),
  args,
  instances,
  cwd: root,
  exec_mode: 'fork',
  interpreter: process.execPath,
  // A process says itself when it is ready, and ends its own children: PM2's tree kill would interrupt qemu-img at
  // every reload.
  wait_ready: true,
  listen_timeout: 60_000,
  treekill: false,
  kill_timeout: killTimeout,
  // A database that is away for an hour must not end in a fleet that was given up.
  exp_backoff_restart_delay: 200,
  max_restarts: 1_000_000,
  // No code of PM2's makers inside our processes, and no look at the git repository.
  pmx: false,
  automation: false,
  vizion: false,
  out_file: join(logs, `${name}.log`),
  error_file: join(logs, `${name}.log`),
  merge_logs: true,
});

export const apps = [
  app('strata-api', 'api.js'),
  app('strata-backup', 'worker.js', ['--queue', 'backup'], 2),
  app('strata-maintenance', 'worker.js', ['--queue', 'maintenance']),
  app('strata-restore', 'worker.js', ['--queue', 'restore']),
  app('strata-keeper', 'keeper.js'),
];
