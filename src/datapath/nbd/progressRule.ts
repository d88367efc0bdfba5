/** Looks within the time after which a server counts as stalled. */
export const LOOKS = 5;
/** What a server that still works on an answer moves at least: a tenth of a modem. */
const LEAST_BYTES_PER_SECOND = 512;

/** What a look finds. The numbers only grow. */
export interface Look {
  /** The server owes at least one answer. */
  owes: boolean;
  /** Answers that were complete. */
  answers: number;
  /** Bytes that came and bytes that went. */
  movedBytes: number;
}

/** Tells a server that works, if slowly, from one that does not. */
export interface ProgressRule {
  /** To be called LOOKS times within the time. @returns what is wrong once there was no progress for the whole time */
  look(now: Look): string | undefined;
}

/**
 * The floor of progress: within `timeoutMs` a server that owes answers finishes one, or moves 512 bytes for each second
 * of that time. One that sends a byte now and then has stopped, although it is never silent; one that is slow, and
 * whose answers come, goes on for however long it takes. Looks are counted and not time: a process that was frozen, or too busy
 * to read what had come, has not looked.
 */
export function createProgressRule(timeoutMs: number): ProgressRule {
  const leastBytes = Math.max(1, Math.floor((LEAST_BYTES_PER_SECOND * timeoutMs) / 1000));
  let since: Look = { owes: false, answers: 0, movedBytes: 0 };
  let still = 0;
  return {
    look(now) {
      const moved = now.movedBytes - since.movedBytes;
      if (!now.owes || !since.owes || now.answers > since.answers || moved >= leastBytes) {
        since = now;
        still = 0;
        return undefined;
      }
      still++;
      if (still < LOOKS) return undefined;
      return moved === 0
        ? `The NBD server was silent for ${timeoutMs} ms.`
        : `The NBD server finished no answer within ${timeoutMs} ms, and moved ${moved} bytes.`;
    },
  };
}
