import type { Socket } from 'node:net';

/** An idle connection's other end is asked by the kernel after this long whether it is there; 10 s later it is given up. */
const KEEP_ALIVE_MS = 10_000;

/**
 * Gives a connection up whose other end went away without a word (a host that lost power, a firewall that forgot it, a
 * server that is frozen): when it owes an answer for `answerMs` milliseconds. Left to the kernel, one that was written to
 * is waited for until it stops sending again, a quarter of an hour (tcp(7), tcp_retries2).
 * @param what begins the error's message: `Redis`
 */
export function endWhenSilent(socket: Socket, what: string, answerMs: number): void {
  let answered = socket.bytesWritten;
  socket.setKeepAlive(true, KEEP_ALIVE_MS);
  socket.on('data', () => {
    answered = socket.bytesWritten;
  });
  // Given to setTimeout, a listener would be called once.
  socket.setTimeout(answerMs);
  socket.on('timeout', () => {
    // Where nothing was asked there is nothing to say.
    if (socket.bytesWritten === answered) return;
    const silent = new Error(`${what} has not answered for ${answerMs} ms.`);
    socket.destroy(Object.assign(silent, { code: 'ETIMEDOUT' }));
  });
}
