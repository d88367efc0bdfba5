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

/** A tool that was given a limit when it began is let go on until there is less than this share of it. */
const TOO_FAST_BELOW = 0.5;

/** A tool at work. It is given a signal, and tells how much is done (0 to 1). */
export type ToolWork = (signal: AbortSignal, onShare: (share: number) => void) => Promise<void>;

/**
 * Runs a tool that takes a limit only when it begins, and that may be stopped and begun again at any time: with the limit of
 * its beginning, and anew where there is less than half of that meanwhile, unless it has done half of its work.
 * @param work is given the limit too, in bytes per second
 * @throws what `work` throws, or the signal's reason
 */
export async function underLimit(
  rate: RateLimit,
  parent: AbortSignal,
  work: (limit: number | undefined, ...tool: Parameters<ToolWork>) => Promise<void>,
): Promise<void> {
  await inScope(parent, async (scope) => {
    for (;;) {
      const limit = rate();
      const isTooFast = (now: number) => limit === undefined || now < limit * TOO_FAST_BELOW;
      if (await untilTooFast({ rate, isTooFast }, scope, (...tool) => work(limit, ...tool))) return;
    }
  });
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
  return untilTooFast({ rate, isTooFast: () => true }, scope, work);
}

/** @returns false when it was stopped for the limit */
async function untilTooFast(
  { rate, isTooFast }: { rate: RateLimit | undefined; isTooFast: (limit: number) => boolean },
  scope: Scope,
  work: ToolWork,
): Promise<boolean> {
  const own = new AbortController();
  let done = 0;
  const look = () => {
    const limit = rate?.();
    if (limit !== undefined && isTooFast(limit) && done < LET_FINISH_FROM) {
      own.abort(new StrataError('cancelled', 'The bandwidth has been limited.'));
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
