import { connect } from 'node:net';
import { systemClock } from '../shared/clock.js';
import { StrataError } from '../shared/errors.js';

/** qemu-nbd opens an image in about 20 ms: polling this often costs nothing beside that. */
const POLL_MS = 5;

/**
 * Waits until a unix socket accepts a connection. Existence is not enough: between bind and listen it refuses.
 * @param gone settles when the server ends; its rejection becomes the error
 * @throws tool_timeout after `deadlineMs`
 */
export async function waitForSocket(path: string, gone: Promise<void>, deadlineMs: number): Promise<void> {
  const started = systemClock.monotonicMs();
  while (!(await Promise.race([accepts(path), gone.then(() => false)]))) {
    if (systemClock.monotonicMs() - started > deadlineMs) {
      throw new StrataError('tool_timeout', `qemu-nbd did not open its image within ${deadlineMs} ms.`);
    }
    await Promise.race([systemClock.sleep(POLL_MS), gone]);
  }
}

/** Connects and hangs up at once; any failure to connect means "not yet". */
async function accepts(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ path });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
