import { expect } from 'chai';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runTool } from '../../../helpers/runTool.js';
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

describe('the sum of a test run', () => {
  let dir: string;
  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'mocha-'));
  });
  after(() => rm(dir, { recursive: true, force: true }));

  /** What scripts/test.sh says of a run whose mocha is this script. */
  const sumOf = async (mocha: string, deadline = 60): Promise<string> => {
    const fake = join(dir, 'mocha');
    await writeFile(fake, `#!/bin/sh\n${mocha}\n`, { mode: 0o755 });
    const output = join(dir, 'group');
    await Promise.all(['code', 'totals'].map((suffix) => rm(`${output}.${suffix}`, { force: true })));
    const lines = [
      `source scripts/mocha.sh; deadline=${deadline} passed=0 failed=0`,
      `PATH="${dir}:$PATH"; (run_mocha "${output}") & wait`,
      `add_up "${output}"; echo "$passed passed, $failed failed"`,
    ];
    return (await runTool('bash', '-c', lines.join('\n'))).trim().replaceAll('\n', '; ');
  };
  const tell = (totals: string) => `echo '${totals}' >"$STRATA_TEST_TOTALS"`;

  it('has what mocha counted, and the code of one that failed', async () => {
    expect(await sumOf(`${tell('3 0')}; exit 0`)).to.equal('3 passed, 0 failed');
    expect(await sumOf(`${tell('3 2')}; exit 2`)).to.equal('Failed: group (code 2); 3 passed, 2 failed');
    expect(await sumOf(`${tell('3 0')}; exit 1`)).to.equal('Failed: group (code 1); 3 passed, 1 failed');
  });

  it('is not ended by the clock while tests end, and is where none does', async () => {
    const beat = `touch "$STRATA_TEST_TOTALS.beat"`;
    const slow = `for i in 1 2 3 4 5 6 7 8; do sleep 1; ${beat}; done; ${tell('8 0')}`;
    expect(await sumOf(slow, 5)).to.equal('8 passed, 0 failed');
    expect(await sumOf('exec sleep 60', 3)).to.equal(
      'Failed: group (code 143, SIGTERM, before its end); No test of group ended for 3 s: it was ended.; 0 passed, 1 failed',
    );
  }).timeout(60_000);

  it('counts as failed what did not come to its end, and names its code and signal', async () => {
    expect(await sumOf('exit 7')).to.equal('Failed: group (code 7, before its end); 0 passed, 1 failed');
    expect(await sumOf('kill -KILL $$')).to.equal(
      'Failed: group (code 137, SIGKILL, before its end); 0 passed, 1 failed',
    );
    // The shell that waits for it is its grandparent.
    expect(await sumOf('kill -KILL "$(ps -o ppid= -p "$PPID")"')).to.equal(
      'Failed: group (it vanished with its shell); 0 passed, 1 failed',
    );
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
