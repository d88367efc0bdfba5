import { StrataError } from '../../shared/errors.js';
import { inScope, type Scope } from './scope.js';
import type { RateLimit } from './throttle.js';

/** How often a running tool that cannot be slowed down is compared with the limit. */
const LOOK_EVERY_MS = 500;
/**
 * Beyond this share of the work, beginning again would move more bytes than letting it finish. qemu-img counts what it has
 * begun to read: up to 32 MiB more than what it has.
 */
const LET_FINISH_FROM = 0.5;

/**
 * A tool that was given a limit when it began is let go on until there is less than this share of it, or the limit of its
 * beginning is less than this share of what there is: before half of its work, beginning again then takes less time.
 */
const OTHER_LIMIT_BELOW = 0.5;
/** Shares come and go with other jobs. A tool that was begun again so often for more of them ends at what it has. */
const MOST_RAISES = 2;

/** A tool at work. It is given a signal, and tells how much is done (0 to 1). */
export type ToolWork = (signal: AbortSignal, onShare: (share: number) => void) => Promise<void>;

/**
 * Runs a tool that takes a limit only when it begins, and that may be stopped and begun again at any time: with the limit of
 * its beginning, and anew where there is less than half of that meanwhile, or more than twice as much, unless it has done half
 * of its work.
 * @param work is given the limit too, in bytes per second
 * @throws what `work` throws, or the signal's reason
 */
export async function underLimit(
  rate: RateLimit,
  parent: AbortSignal,
  work: (limit: number | undefined, ...tool: Parameters<ToolWork>) => Promise<void>,
): Promise<void> {
  await inScope(parent, async (scope) => {
    for (let raises = 0; ; ) {
      const limit = rate();
      const isToStop = (now: number | undefined): boolean =>
        isFarBelow(now, limit) || (raises < MOST_RAISES && isFarBelow(limit, now));
      if (await untilStopped({ rate, isToStop }, scope, (...tool) => work(limit, ...tool))) return;
      if (isFarBelow(limit, rate())) raises++;
    }
  });
}

/** Of two limits, undefined being none. */
function isFarBelow(limit: number | undefined, other: number | undefined): boolean {
  return limit !== undefined && (other === undefined || limit < other * OTHER_LIMIT_BELOW);
}

/**
 * Runs a tool that cannot follow a limit that changes, for as long as there is none. Where one is set meanwhile, the tool
 * is stopped, unless it has done half of its work.
 * @returns false when it was stopped for the limit, or never begun: the work is then to be done by the engine
 * @throws what `work` throws
 */
export async function whileUnlimited(
  rate: RateLimit | undefined,
  scope: Scope,
  work: ToolWork,
): Promise<boolean> {
  if (rate?.() !== undefined) return false;
  return untilStopped({ rate, isToStop: (limit) => limit !== undefined }, scope, work);
}

/** @returns false when it was stopped for the limit */
async function untilStopped(
  { rate, isToStop }: { rate: RateLimit | undefined; isToStop: (limit: number | undefined) => boolean },
  scope: Scope,
  work: ToolWork,
): Promise<boolean> {
  const own = new AbortController();
  let done = 0;
  const look = () => {
    if (done < LET_FINISH_FROM && isToStop(rate?.())) {
      own.abort(new StrataError('cancelled', 'The bandwidth is another one.'));
    }
  };
  const looks = setInterval(look, LOOK_EVERY_MS);
  try {
    await work(AbortSignal.any([scope.signal, own.signal]), (share) => {
      done = share;
    });
    return true;
  } catch (error) {
    if (error === own.signal.reason && !scope.signal.aborted) return false;
    throw error;
  } finally {
    clearInterval(looks);
  }
}
