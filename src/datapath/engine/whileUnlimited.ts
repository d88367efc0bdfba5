import { StrataError } from '../../shared/errors.js';
import type { Scope } from './scope.js';
import type { RateLimit } from './throttle.js';

/** How often a running tool that cannot be slowed down is compared with the limit. */
const LOOK_EVERY_MS = 500;
/**
 * Beyond this share of the work, beginning again would move more bytes than letting it finish. qemu-img counts what it has
 * begun to read: up to 32 MiB more than what it has.
 */
const LET_FINISH_FROM = 0.5;

/**
 * Runs a tool that cannot follow a limit that changes, for as long as there is none. Where one is set meanwhile, the tool
 * is stopped, unless it has done half of its work.
 * @param work is given a signal, and tells how much is done (0 to 1)
 * @returns false when it was stopped for the limit, or never begun: the work is then to be done by the engine
 * @throws what `work` throws
 */
export async function whileUnlimited(
  rate: RateLimit | undefined,
  scope: Scope,
  work: (signal: AbortSignal, onShare: (share: number) => void) => Promise<void>,
): Promise<boolean> {
  const limited = () => rate?.() !== undefined;
  if (limited()) return false;
  const own = new AbortController();
  let done = 0;
  const look = () => {
    if (limited() && done < LET_FINISH_FROM) {
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
