import type { ToolSpan } from './trace.js';

/** How long something took, in milliseconds. */
export interface Timing {
  ms: number;
  /** Times of named moments since the beginning, where one run answers several questions. */
  laps?: Record<string, number>;
  /** The programs that ran meanwhile. */
  tools?: ToolSpan[];
}

export interface Contest<Name extends string> {
  /** Runs before each contender's turn, untimed: quiet the disk, and so on. */
  settle: () => Promise<void>;
  /** Runs once a round, untimed: make the changes that are then backed up. */
  prepare?: (round: number) => Promise<void>;
  contenders: Record<Name, (round: number) => Promise<Timing>>;
}

/**
 * Lets the contenders take turns, round by round, so that what disturbs the machine disturbs all of them; each round
 * begins with another. The first `warmUps` rounds are not counted.
 */
export async function compete<Name extends string>(
  { runs, warmUps }: { runs: number; warmUps: number },
  { settle, prepare, contenders }: Contest<Name>,
): Promise<Record<Name, Timing[]>> {
  const names = Object.keys(contenders) as Name[];
  const timings = Object.fromEntries(names.map((name) => [name, []])) as unknown as Record<Name, Timing[]>;
  for (let round = 0; round < warmUps + runs; round++) {
    await prepare?.(round);
    for (let turn = 0; turn < names.length; turn++) {
      const name = names[(round + turn) % names.length] as Name;
      await settle();
      const timing = await contenders[name](round);
      if (round >= warmUps) timings[name].push(timing);
    }
  }
  return timings;
}

/** Times work, with the programs that it starts in this process. */
export async function timed(work: () => Promise<unknown>): Promise<Timing> {
  const began = performance.now();
  await work();
  return { ms: performance.now() - began };
}
