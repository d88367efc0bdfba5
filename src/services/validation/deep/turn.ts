import { isAnotherWaiting } from '../../../db/job/waiting.js';
import type { ServiceDeps } from '../../deps.js';

/** Reading is noted, and looked up who waits, this often: what a kill costs, and what a backup waits. */
const CHECKPOINT_MS = 1_000;
/** One attempt reads for so long; then the job queues up again, so that no deadline meets a disk that takes days. */
const LONGEST_MS = 3_600_000;

/** `wanted`: another job waits for the chain. `time`: the turn is over. */
export type TurnEnd = 'wanted' | 'time';

/** One uninterrupted stretch of reading. */
export interface Turn {
  /** True when it is time for a checkpoint. */
  isDue(): boolean;
  /** To be asked at each checkpoint. @returns undefined to go on */
  end(): Promise<TurnEnd | undefined>;
}

export function beginTurn({ ds, clock }: Pick<ServiceDeps, 'ds' | 'clock'>, chainId: string): Turn {
  const began = clock.monotonicMs();
  let last = began;
  return {
    isDue: () => clock.monotonicMs() - last >= CHECKPOINT_MS,
    async end() {
      last = clock.monotonicMs();
      if (last - began >= LONGEST_MS) return 'time';
      return (await isAnotherWaiting(ds, chainId)) ? 'wanted' : undefined;
    },
  };
}
