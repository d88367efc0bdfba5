import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { runTool } from '../../../src/qcow2/runTool.js';
import { type Confined, commandsWith, confine } from './confined.js';
import { failureOf, rejection, until } from './images.js';

const ORPHAN = fileURLToPath(new URL('orphan.js', import.meta.url));

describe('The end of a tool in the sandbox', () => {
  let confined: Confined;
  before(async function () {
    const found = await confine();
    if (!found) this.skip();
    confined = found;
  });
  after(() => confined?.remove());

  it('is told by the signal that ended it, its limits above all', async () => {
    const limits = { addressSpaceBytes: 1024 ** 3, cpuSeconds: 1 };
    const call = confined.shell(['-c', 'while :; do :; done']);
    await rejection(runTool(call, { limits }), 'source_too_complex');
  });

  it('comes when the signal aborts, even if it is frozen', async () => {
    const aborting = new AbortController();
    const marker = `strata-frozen-${process.pid}`;
    const call = confined.shell(['-c', 'echo up; kill -STOP $$', marker]);
    const reason = new Error('The lease is lost.');
    const running = runTool({ ...call, onStdout: () => aborting.abort(reason) }, { signal: aborting.signal });
    expect(await failureOf(running)).to.equal(reason);
    await until(async () => (await commandsWith(marker)).length === 0, 'the frozen tool is gone');
  });

  it('comes with that of the worker, a killed one too', async () => {
    const parent = spawn(
      process.execPath,
      [ORPHAN, 'sandbox', confined.at('disk.qcow2'), confined.at('orphan')],
      {
        stdio: ['ignore', 'pipe', 'inherit'],
      },
    );
    const exited = once(parent, 'exit');
    await once(parent.stdout, 'data');
    const tools = await commandsWith(confined.at('orphan/s'));
    expect(tools.some((command) => command.startsWith('qemu-nbd'))).to.equal(true);
    parent.kill('SIGKILL');
    await exited;
    await until(async () => (await commandsWith(confined.at('orphan/s'))).length === 0, 'the tool is gone');
  });
});
