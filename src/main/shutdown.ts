import type { Logger } from '../observability/logger.js';

type Close = () => Promise<void> | void;

/** Things to close, in the order in which they were opened; they are closed in reverse. */
export interface Shutdown {
  /** Aborts at the first signal. */
  signal: AbortSignal;
  onClose(name: string, close: Close): void;
  /** Called at the second signal: stop now, still clean. */
  onHurry(hurry: () => void): void;
  run(): Promise<void>;
}

/** After this long a stopping process gives up on what will not close, and says so. */
const FORCE_AFTER_MS = 10_000;

/** Ends the process cleanly on SIGTERM, SIGINT or PM2's `shutdown` message. */
export function createShutdown(log: Logger, options: { graceMs: number }): Shutdown {
  const aborter = new AbortController();
  const closers: { name: string; close: Close }[] = [];
  const hurries: (() => void)[] = [];
  let running: Promise<void> | undefined;
  const closeAll = async () => {
    for (const { name, close } of closers.toReversed()) {
      try {
        await close();
      } catch (error) {
        log.error({ err: error, what: name }, 'did not close cleanly');
        process.exitCode = 1;
      }
    }
  };
  const run = async () => {
    aborter.abort();
    running ??= closeAll();
    await running;
  };
  const onSignal = () => {
    if (running) {
      for (const hurry of hurries) hurry();
      // Of the grace time nothing is left, whatever it was.
      forceAfter(log, FORCE_AFTER_MS);
      return;
    }
    log.info('stopping');
    forceAfter(log, options.graceMs + FORCE_AFTER_MS);
    void run().then(() => {
      log.info('stopped');
      // Handles of third parties may linger; everything of ours is closed.
      process.exit(process.exitCode ?? 0);
    });
  };
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
  process.on('message', (message) => {
    if (message === 'shutdown') onSignal();
  });
  return {
    signal: aborter.signal,
    onClose: (name, close) => closers.push({ name, close }),
    onHurry: (hurry) => hurries.push(hurry),
    run,
  };
}

function forceAfter(log: Logger, ms: number): void {
  const force = () => {
    log.fatal('could not stop in time');
    process.exit(1);
  };
  setTimeout(force, ms).unref();
}

/** Runs a process's main: logs what kills it and exits with 1. */
export async function runMain(log: Logger, main: () => Promise<void>): Promise<void> {
  for (const event of ['unhandledRejection', 'uncaughtException']) {
    process.on(event, (error) => {
      log.fatal({ err: error, event }, 'nobody has caught an error');
      process.exit(1);
    });
  }
  // Images hold what guests hold: nobody but us and our group reads them, whichever tool writes them.
  process.umask(0o027);
  try {
    await main();
    process.send?.('ready');
  } catch (error) {
    log.fatal({ err: error }, 'could not start');
    process.exit(1);
  }
}
