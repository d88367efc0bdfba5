import { expect } from 'chai';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findRunProcesses } from '../../../helpers/runProcesses.js';

describe('the test run', () => {
  let dir: string;

  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'harness-'));
  });

  after(() => rm(dir, { recursive: true, force: true }));

  it('fails and names the databases, processes and files that a test left behind', async () => {
    const run = runLeaking({ STRATA_TEST_TOTALS: join(dir, 'totals') });
    const [code] = await once(run.child, 'close');
    expect(code).to.equal(1);
    expect(run.output()).to.match(/database strata_t_/);
    expect(run.output()).to.match(/process \d+: sleep 300/);
    expect(run.output()).to.match(/file .*\/forgotten-/);
    expect(await readFile(join(dir, 'totals'), 'utf8')).to.equal('1 1\n');
  });

  it('leaves no process and no file when it is killed', async () => {
    const run = runLeaking({ TEST_WAIT: '1' });
    const id = await run.waitFor(/waiting in (\S+)/);
    expect(await findRunProcesses(id, [])).to.have.length.above(3);
    run.child.kill('SIGKILL');
    await once(run.child, 'exit');
    const deadline = performance.now() + 10_000;
    while ((await exists(id)) && performance.now() < deadline) await pause(50);
    expect(await exists(id)).to.equal(false);
    expect(await findRunProcesses(id, [])).to.deep.equal([]);
  });
});

const helper = (name: string) => fileURLToPath(new URL(`../../../helpers/${name}.js`, import.meta.url));

function runLeaking(env: NodeJS.ProcessEnv) {
  const file = fileURLToPath(new URL('leaking.js', import.meta.url));
  const mocha = fileURLToPath(import.meta.resolve('mocha/bin/mocha.js'));
  const child = spawn(
    process.execPath,
    [mocha, '--require', helper('hooks'), '--reporter', helper('reporter'), file],
    // The watchdog inherits stderr and outlives a killed run: only our own pipe would wait for it.
    { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'ignore'] },
  );
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (part: string) => {
    text += part;
  });
  return {
    child,
    output: () => text,
    waitFor: async (pattern: RegExp): Promise<string> => {
      for (;;) {
        const found = pattern.exec(text)?.[1];
        if (found) return found;
        if (child.exitCode !== null) throw new Error(`It ended before: ${text}`);
        await pause(25);
      }
    },
  };
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
