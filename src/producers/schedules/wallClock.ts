import { wallTime } from '../../shared/wallTime.js';

/** A stretch of time in which the offset of a zone stays the same. All in milliseconds since 1970, UTC. */
interface Stretch {
  from: number;
  until: number;
  /** Wall clock less UTC. */
  offset: number;
}

export interface WallClock {
  /** What the clock on the wall shows at an instant, written as if it were UTC. */
  at(instant: number): number;
  /**
   * The instants at which the clock shows a time of the day that begins at `day` (as if it were UTC): none, one or two, and
   * where there is none the instant at which the clock was put forward over that time.
   */
  ofDay(day: number): (time: number) => { shown: number[]; skippedAt: number | undefined };
}

const DAY_MS = 86_400_000;
/** The greatest distance between a wall clock and UTC. */
const FARTHEST_MS = 16 * 3_600_000;

/**
 * The wall clock of a time zone.
 * @param timeZone IANA name
 * @throws RangeError for a zone that Node does not know
 */
export function wallClock(timeZone: string): WallClock {
  const at = wallTime(timeZone);
  const offsetAt = (instant: number): number => at(instant) - instant;
  return {
    at,
    ofDay: (day) => {
      const stretches = stretchesOf(offsetAt, day - FARTHEST_MS, day + DAY_MS + FARTHEST_MS);
      return (time) => place(stretches, time);
    },
  };
}

/** No zone changes its offset twice within this window, and so the ends show whether there is a change in it. */
function stretchesOf(offsetAt: (instant: number) => number, from: number, until: number): Stretch[] {
  const [before, after] = [offsetAt(from), offsetAt(until)];
  if (before === after) return [{ from, until, offset: before }];
  let [low, high] = [from, until];
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (offsetAt(middle) === before) low = middle;
    else high = middle;
  }
  return [
    { from, until: high, offset: before },
    { from: high, until, offset: after },
  ];
}

function place(stretches: readonly Stretch[], time: number) {
  const shown = stretches
    .map(({ from, until, offset }) => ({ from, until, instant: time - offset }))
    .filter(({ from, until, instant }) => instant >= from && instant < until)
    .map(({ instant }) => instant);
  return { shown, skippedAt: shown.length === 0 ? stretches[1]?.from : undefined };
}
