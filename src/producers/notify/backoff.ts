const FIRST_MS = 5_000;
/** A receiver that is back after a long time waits at most for this. */
const LONGEST_MS = 600_000;
/** Receivers that come back are not met by everything in one instant. */
const SPREAD = 0.2;

/**
 * Pause after the n-th failed attempt: 5 s, doubled each time, up to 10 min, give or take a fifth.
 * @param random from 0 up to 1
 */
export function pauseAfter(attempts: number, random: number): number {
  const pause = Math.min(FIRST_MS * 2 ** Math.min(attempts - 1, 20), LONGEST_MS);
  return Math.round(pause * (1 - SPREAD + 2 * SPREAD * random));
}
