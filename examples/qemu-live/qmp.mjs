// A QMP client (docs/interop/qmp-spec of QEMU): one command at a time over the monitor's unix socket.
import { once } from 'node:events';
import { connect } from 'node:net';
import { createInterface } from 'node:readline';

/** Connects to a QMP monitor. `run` rejects with QEMU's own words; `close` leaves QEMU running. */
export async function connectQmp(path) {
  const socket = connect(path);
  await once(socket, 'connect');
  const lines = createInterface({ input: socket })[Symbol.asyncIterator]();
  const answer = async () => {
    for (;;) {
      const { value, done } = await lines.next();
      if (done) throw new Error('QEMU has closed the monitor.');
      const message = JSON.parse(value);
      // Events tell nothing that is not asked for below.
      if (!('event' in message)) return message;
    }
  };
  const run = async (execute, args = {}) => {
    socket.write(`${JSON.stringify({ execute, arguments: args })}\n`);
    const message = await answer();
    if (message.error) throw new Error(`${execute}: ${message.error.desc}`);
    return message.return;
  };
  await answer();
  await run('qmp_capabilities');
  return { run, close: () => socket.destroy() };
}
