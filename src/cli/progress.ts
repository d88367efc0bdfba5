import type { CliIo } from './io.js';
import { type ProgressFacts, renderBar, renderPlain, renderWait, shareDone } from './render/progressLine.js';

/** Shows how far jobs are: bars that are drawn anew on a terminal, now and then a line otherwise. */
export interface ProgressView {
  update(label: string, progress: ProgressFacts | null): void;
  /** Says that a job does not run, and why, once for each reason; undefined where there is nothing to say. */
  wait(label: string, why: string | undefined): void;
  /** Replaces the label's bar by a last line. */
  finish(label: string, line: string): void;
}

/** A log gets a line when the phase changes, and within a phase every tenth or every ten seconds. */
const PLAIN_STEP = 0.1;
const PLAIN_EVERY_MS = 10_000;

/** Shows nothing, for `--json`. */
export const SILENT: ProgressView = {
  update: () => undefined,
  wait: () => undefined,
  finish: () => undefined,
};

export function createProgressView(io: CliIo): ProgressView {
  return io.terminal ? barView(io) : plainView(io);
}

function barView(io: CliIo): ProgressView {
  const bars = new Map<string, string>();
  let drawn = 0;
  const draw = (above = '') => {
    const up = drawn > 0 ? `\u001B[${drawn}A` : '';
    const lines = [...bars.values()].map((line) => `${line}\n`).join('');
    // From the block's first line: erase to the end of the screen, then write the block anew.
    io.err(`${up}\u001B[J${above}${lines}`);
    drawn = bars.size;
  };
  return {
    update: (label, progress) => {
      if (!progress) return;
      bars.set(label, renderBar(label, progress, io.columns()));
      draw();
    },
    wait: (label, why) => {
      if (why === undefined) return;
      // The last column stays free: some terminals wrap when it is written.
      bars.set(label, [...renderWait(label, why)].slice(0, Math.max(0, io.columns() - 1)).join(''));
      draw();
    },
    finish: (label, line) => {
      bars.delete(label);
      draw(`${line}\n`);
    },
  };
}

function plainView(io: CliIo): ProgressView {
  const last = new Map<string, { phase: string; share: number; at: number }>();
  const waits = new Map<string, string>();
  return {
    update: (label, progress) => {
      if (!progress) return;
      const share = shareDone(progress) ?? 0;
      const before = last.get(label);
      const now = io.clock.monotonicMs();
      const due =
        before?.phase !== progress.phase ||
        share - before.share >= PLAIN_STEP ||
        now - before.at >= PLAIN_EVERY_MS;
      if (!due) return;
      last.set(label, { phase: progress.phase, share, at: now });
      io.err(`${renderPlain(label, progress)}\n`);
    },
    wait: (label, why) => {
      if (why === undefined || waits.get(label) === why) return;
      waits.set(label, why);
      io.err(`${renderWait(label, why)}\n`);
    },
    finish: (_label, line) => io.err(`${line}\n`),
  };
}
