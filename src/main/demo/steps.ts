import type { Clock } from '../../shared/clock.js';

/** Runs one step of the demonstration, says so, and remembers how long it took. */
export type Step = <T>(name: string, work: () => Promise<T>) => Promise<T>;

export interface Timing {
  name: string;
  seconds: number;
}

export function createSteps(clock: Clock, say: (line: string) => void): { step: Step; timings: Timing[] } {
  const timings: Timing[] = [];
  return {
    timings,
    step: async (name, work) => {
      say(`\n== ${name}`);
      const begun = clock.monotonicMs();
      const result = await work();
      timings.push({ name, seconds: (clock.monotonicMs() - begun) / 1000 });
      return result;
    },
  };
}
