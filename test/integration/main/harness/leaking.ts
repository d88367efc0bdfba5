// Run by harness.test.ts in a mocha of its own: leaves behind whatever its environment names, or waits to be killed.
import { spawn } from 'node:child_process';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createSuite } from '../../../helpers/suite.js';
import { testRun } from '../../../helpers/testRun.js';

it('leaves something behind', async function () {
  this.timeout(60_000);
  await createSuite();
  spawn('sleep', ['300'], { detached: true, stdio: 'ignore' }).unref();
  await mkdtemp(join(tmpdir(), 'forgotten-'));
  if (process.env['TEST_WAIT']) {
    console.log(`waiting in ${testRun.dir}`);
    await new Promise((resolve) => setTimeout(resolve, 50_000));
  }
});
