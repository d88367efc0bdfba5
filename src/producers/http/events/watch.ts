import type { DataSource } from '../../../db/database.js';
import type { JobEvent } from '../../../contract/index.js';
import type { Logger } from '../../../observability/logger.js';
import type { Clock } from '../../../shared/clock.js';
import { toJobEvent } from '../views/job.js';
import { type ScanMark, scan } from './scan.js';

const POLL_MS = 500;
/** After a scan that failed, because the database is away. */
const PAUSE_MS = 2_000;

export type Listener = (event: JobEvent) => void;

/** One look at the database for all who listen, and none when nobody does. */
export interface JobWatch {
  /** Sends the jobs that are open now, then every change. Returns the way to stop listening. */
  listen(listener: Listener): () => void;
  /** Ends the watching and waits for the statement that is under way. */
  close(): Promise<void>;
}

export function createJobWatch(deps: { ds: DataSource; clock: Clock; log: Logger }): JobWatch {
  const listeners = new Set<Listener>();
  let running: { stop: AbortController; ended: Promise<void>; sent: Sent } | undefined;
  const start = () => {
    const stop = new AbortController();
    const sent: Sent = new Map();
    const ended = watch(deps, sent, stop.signal, (event) => {
      for (const listener of listeners) listener(event);
    });
    running = { stop, sent, ended };
  };
  const halt = async () => {
    const { stop, ended } = running ?? {};
    running = undefined;
    stop?.abort();
    await ended;
  };
  return {
    listen: (listener) => {
      listeners.add(listener);
      if (running) for (const { event } of running.sent.values()) listener(event);
      else start();
      return () => {
        listeners.delete(listener);
        if (listeners.size === 0) void halt();
      };
    },
    close: async () => {
      listeners.clear();
      await halt();
    },
  };
}

/** Scans until it is told to stop. Never rejects: a database that is away is logged, and asked again. */
async function watch(
  { ds, clock, log }: { ds: DataSource; clock: Clock; log: Logger },
  sent: Sent,
  signal: AbortSignal,
  send: Listener,
): Promise<void> {
  let mark: ScanMark | undefined;
  while (!signal.aborted) {
    let pauseMs = POLL_MS;
    try {
      const found = await scan(ds, mark);
      mark = found.mark;
      if (!signal.aborted) for (const event of takeNews(sent, found.states.map(toJobEvent))) send(event);
    } catch (error) {
      log.warn({ err: error }, 'the events of jobs could not be read');
      pauseMs = PAUSE_MS;
    }
    await clock.sleep(pauseMs, signal).catch((error: unknown) => {
      if (!signal.aborted) throw error;
    });
  }
}

/** The latest event of every job that is still of interest, as it was sent. */
type Sent = Map<string, { event: JobEvent; text: string }>;

/**
 * Tells which events are news, and remembers them; forgets the jobs that the scan has not seen, because they have ended.
 * Of several events of one job the last one counts: it was read last.
 */
function takeNews(sent: Sent, seen: readonly JobEvent[]): JobEvent[] {
  const latest = new Map(seen.map((event) => [event.id, event]));
  for (const id of sent.keys()) if (!latest.has(id)) sent.delete(id);
  return [...latest.values()].filter((event) => {
    const text = JSON.stringify(event);
    const isNews = sent.get(event.id)?.text !== text;
    sent.set(event.id, { event, text });
    return isNews;
  });
}
