import type { Clock } from '../shared/clock.js';

/** Everything that the CLI has of the outside; a test gives its own. */
export interface CliIo {
  /** Results only: in JSON mode exactly one document. */
  out: (text: string) => void;
  /** Progress, notes and errors. */
  err: (text: string) => void;
  /** True when `err` is a terminal on which bars may be drawn; false with NO_COLOR or TERM=dumb. */
  terminal: boolean;
  /** Width of that terminal. */
  columns: () => number;
  /** The caller's environment; only STRATA_URL, STRATA_TOKEN and STRATA_DATA_DIR are looked at. */
  env: Readonly<Record<string, string | undefined>>;
  /** The project's own directory: `.strata` in it is the default data directory. */
  projectDir: string;
  clock: Clock;
  /** Aborts at Ctrl-C. */
  signal: AbortSignal;
  fetch?: typeof globalThis.fetch;
}
