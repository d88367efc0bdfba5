import { connect } from 'node:net';
import { systemClock } from '../shared/clock.js';
import { StrataError } from '../shared/errors.js';

/** qemu-nbd opens an image in about 20 ms: polling this often costs nothing beside that. */
const POLL_MS = 5;

/**
 * Waits until an NBD server greets on a unix socket. That the socket accepts is not enough: qemu-nbd 7.2 listens before
 * it opens the image, and loses a SIGTERM until it serves.
 * @param gone settles when the server ends; its rejection becomes the error
 * @throws tool_timeout after `deadlineMs`
 */
export async function waitForGreeting(path: string, gone: Promise<void>, deadlineMs: number): Promise<void> {
  const end = systemClock.monotonicMs() + deadlineMs;
  for (;;) {
    const left = end - systemClock.monotonicMs();
    if (left <= 0) {
      throw new StrataError('tool_timeout', `qemu-nbd did not open its image within ${deadlineMs} ms.`);
    }
    if (await greets(path, left)) return;
    await Promise.race([systemClock.sleep(POLL_MS), gone]);
  }
}

/**
 * Connects, waits for the first byte and hangs up. Any failure to connect means "not yet": when the server dies, its
 * socket closes, and `gone` tells why.
 */
async function greets(path: string, timeoutMs: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ path, timeout: Math.ceil(timeoutMs) });
    const settle = (greeted: boolean): void => {
      socket.destroy();
      resolve(greeted);
    };
    socket.once('data', () => settle(true));
    socket.once('timeout', () => settle(false));
    socket.once('close', () => settle(false));
    // 'close' follows; without a listener the error would be thrown.
    socket.once('error', () => settle(false));
  });
}
