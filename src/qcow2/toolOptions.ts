import type { ResourceLimits } from './limits.js';

/** How a tool runs. Every verb takes these last. */
export interface ToolOptions {
  /** Aborting it stops the tool; the verb rejects with the signal's reason once the process is gone. */
  signal?: AbortSignal;
  /** Milliseconds until the tool is stopped with `tool_timeout`. Each verb has a default from DEADLINES. */
  deadlineMs?: number;
  limits?: ResourceLimits;
  /** Runs with idle I/O priority and nice 19: it yields to every other program. `disk`: with idle I/O priority alone. */
  idle?: boolean | 'disk';
  /** Where programs are looked for; the system's folders by default. The environment's PATH is never used. */
  searchPath?: string;
}

/** Default deadlines in ms. */
export const DEADLINES = {
  /** Reads or writes headers only; slow network file systems included. */
  metadata: 60_000,
  /** Reads or writes up to a whole disk: 10 TiB at 120 MiB/s. */
  wholeImage: 24 * 3600_000,
  /** From the start of qemu-nbd until its socket accepts; opening a long chain reads every header. */
  serveStart: 60_000,
  /** From SIGTERM until qemu-nbd has flushed its caches and is gone. */
  serveClose: 10 * 60_000,
} as const;
