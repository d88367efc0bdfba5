import { median, typical } from './numbers.js';
import type { Timing } from './contest.js';

/** One line of the table. */
export interface Row {
  what: string;
  against: string;
  ours: Timing[];
  /** Absent where the goal is a time and not a ratio. In the same rounds as `ours`. */
  theirs?: Timing[];
  /** Largest ratio, or largest time in seconds where nobody is compared with; absent where it is only told. */
  goal?: number;
  /** What bounds it, found by profiling; printed where the goal is missed. */
  bounds: string;
}

export interface Verdict {
  /** Ratio of the medians, or the median in seconds. */
  value: number;
  /** Of the rounds' own values. */
  min: number;
  max: number;
  met: boolean | undefined;
}

export function judge({ ours, theirs, goal }: Row): Verdict {
  const value = theirs ? median(times(ours)) / median(times(theirs)) : median(times(ours)) / 1000;
  const rounds = ours.map(({ ms }, round) => (theirs ? ms / (theirs[round]?.ms ?? Number.NaN) : ms / 1000));
  return {
    value,
    min: Math.min(...rounds),
    max: Math.max(...rounds),
    met: goal === undefined ? undefined : value <= goal,
  };
}

/** The same runs, measured up to an earlier moment. */
export function upTo(lap: string, timings: readonly Timing[]): Timing[] {
  return timings.map((timing) => {
    const ms = timing.laps?.[lap];
    if (ms === undefined) throw new RangeError(`There is no lap ${lap}.`);
    return { ms };
  });
}

/** Our run that was nearest to the median: what it did is told in the report. */
export function typicalRun({ ours }: Row): Timing {
  return typical(ours, ({ ms }) => ms);
}

export function times(timings: readonly Timing[]): number[] {
  return timings.map(({ ms }) => ms);
}
