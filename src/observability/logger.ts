import { type Logger as PinoLogger, pino } from 'pino';

import { escapeInvisibleJson } from '../shared/invisible.js';

export type Logger = PinoLogger;

/** Never written to a log, wherever they stand in an object. */
const SECRETS = [
  'password',
  'token',
  'authorization',
  '*.password',
  '*.token',
  'req.headers.authorization',
  'req.headers.cookie',
];

/** One JSON line per event on standard output; PM2 or systemd keeps them. */
export function createLogger(options: { level: string; role: string; pretty?: boolean }): Logger {
  return pino({
    level: options.level,
    base: { role: options.role, pid: process.pid },
    redact: { paths: SECRETS, censor: '[redacted]' },
    timestamp: pino.stdTimeFunctions.isoTime,
    // Somebody will read it on a terminal.
    hooks: { streamWrite: escapeInvisibleJson },
    ...(options.pretty ? { transport: { target: 'pino-pretty' } } : {}),
  });
}
