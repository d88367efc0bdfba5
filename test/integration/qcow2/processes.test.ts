import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import {
  commitImage,
  convertImage,
  createImage,
  imageInfo,
  type ImageRef,
  toolVersions,
} from '../../../src/qcow2/index.js';
import { StrataError } from '../../../src/shared/errors.js';
import {
  childrenOf,
  commandOf,
  failureOf,
  isAlive,
  MiB,
  randomImage,
  rejection,
  run,
  tempDir,
  until,
} from './images.js';

const ORPHAN = fileURLToPath(new URL('orphan.js', import.meta.url));

describe('tool processes', () => {
  let temp: Awaited<ReturnType<typeof tempDir>>;
  let source: ImageRef & { path: string };
  beforeEach(async () => {
    temp = await tempDir();
    source = { type: 'file', path: temp.at('source.raw'), format: 'raw' };
    await randomImage(source.path, 16 * MiB);
  });
  afterEach(() => temp.remove());

  /** A copy that takes 16 s. */
  const slow = (
    options: Parameters<typeof convertImage>[3],
    onProgress?: (percent: number) => void,
  ): Promise<void> =>
    convertImage(
      source,
      { type: 'file', path: temp.at('target.qcow2'), format: 'qcow2' },
      { bytesPerSecond: MiB, ...(onProgress ? { onProgress } : {}) },
      options,
    );

  const ours = async (): Promise<number[]> => {
    const pids = await childrenOf(process.pid);
    const commands = await Promise.all(pids.map(async (pid) => ({ pid, args: await commandOf(pid) })));
    return commands.filter(({ args }) => args.includes(source.path)).map(({ pid }) => pid);
  };

  for (const reason of [new StrataError('lease_lost', 'The fence moved on.'), new Error('something else')]) {
    it(`reject with the very reason of the signal (${reason.message}) when the process is gone`, async () => {
      const aborting = new AbortController();
      let pids: number[] = [];
      const work = slow({ signal: aborting.signal }, () => {
        void (async () => {
          const found = await ours();
          // Progress comes more than once: only the look before the abort counts.
          if (aborting.signal.aborted) return;
          pids = found;
          aborting.abort(reason);
        })();
      });
      expect(await failureOf(work)).to.equal(reason);
      expect(pids).to.have.lengthOf(1);
      expect(await isAlive(pids[0] ?? 0)).to.equal(false);
    });
  }

  it('say cancelled when the signal brings no reason', async () => {
    const aborting = new AbortController();
    setTimeout(() => aborting.abort(), 100);
    await rejection(slow({ signal: aborting.signal }), 'cancelled');
  });

  it('do not start under an aborted signal', async () => {
    const reason = new StrataError('shutting_down', 'Later.');
    expect(await failureOf(slow({ signal: AbortSignal.abort(reason) }))).to.equal(reason);
    expect(existsSync(temp.at('target.qcow2'))).to.equal(false);
  });

  it('are stopped at their deadline', async () => {
    const error = await rejection(slow({ deadlineMs: 300 }), 'tool_timeout');
    expect(error.message).to.equal('qemu-img convert did not finish within 300 ms.');
    expect(await ours()).to.deep.equal([]);
  });

  it('are stopped by an error of the progress callback, which is thrown on', async () => {
    const oops = new Error('oops');
    const work = slow({}, () => {
      throw oops;
    });
    expect(await failureOf(work)).to.equal(oops);
  });

  it('leave no listener on the signal', async () => {
    const aborting = new AbortController();
    let added = 0;
    const add = aborting.signal.addEventListener.bind(aborting.signal);
    const remove = aborting.signal.removeEventListener.bind(aborting.signal);
    aborting.signal.addEventListener = (...args: Parameters<typeof add>) => (added++, add(...args));
    aborting.signal.removeEventListener = (...args: Parameters<typeof remove>) => (added--, remove(...args));
    await imageInfo(source, { signal: aborting.signal });
    expect(added).to.equal(0);
  });

  it('see nothing of the environment but PATH, LC_ALL and TMPDIR', async () => {
    process.env['STRATA_SECRET_OF_TEST'] = 'x';
    const aborting = new AbortController();
    let environment = '';
    const work = slow({ signal: aborting.signal }, () => {
      void (async () => {
        const [pid] = await ours();
        environment = (await run('cat', [`/proc/${pid}/environ`])).stdout;
        aborting.abort();
      })();
    });
    await rejection(work, 'cancelled');
    delete process.env['STRATA_SECRET_OF_TEST'];
    const names = environment
      .split('\0')
      .filter(Boolean)
      .map((line) => line.split('=')[0]);
    expect(names.toSorted((a, b) => (a ?? '').localeCompare(b ?? ''))).to.deep.equal([
      'LC_ALL',
      'PATH',
      'TMPDIR',
    ]);
  });

  it('carry what the tool said, bounded, in the details of tool_failed', async () => {
    await createImage(temp.at('alone.qcow2'), { virtualSizeBytes: MiB });
    const error = await rejection(commitImage(temp.at('alone.qcow2')), 'tool_failed');
    expect(error.details).to.include({ tool: 'qemu-img', exitCode: 1, signal: undefined });
    expect(error.details['stderr']).to.contain('does not have a backing file');
    expect(error.details['args']).to.include(temp.at('alone.qcow2'));
  });

  for (const verb of ['convert', 'serve']) {
    it(`die with their parent when it is killed during ${verb}`, async () => {
      const parent = spawn(process.execPath, [ORPHAN, verb, source.path, temp.at('t')], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      const exited = once(parent, 'exit');
      await once(parent.stdout, 'data');
      const [child, ...others] = await childrenOf(parent.pid ?? 0);
      if (child === undefined) throw new Error('The verb has no process.');
      expect(others).to.deep.equal([]);
      expect((await commandOf(child))[0]).to.match(/^qemu-/);
      parent.kill('SIGKILL');
      await exited;
      await until(async () => !(await isAlive(child)), 'the tool is gone');
    });
  }
});

describe('toolVersions', () => {
  it('gives the version of each tool', async () => {
    const versions = await toolVersions();
    expect(versions['qemu-img']).to.match(/^\d+\.\d+/);
    expect(versions['qemu-nbd']).to.match(/^\d+\.\d+/);
  });

  it('names the Debian package of a missing program', async () => {
    const temp = await tempDir();
    try {
      const bare = await rejection(toolVersions({ searchPath: temp.dir }), 'tool_missing');
      expect(bare.message).to.contain('setpriv').and.to.contain('util-linux');
      for (const program of ['setpriv', 'prlimit', 'ionice', 'nice']) {
        await run('ln', ['-s', `/usr/bin/${program}`, temp.at(program)]);
      }
      const limits = { addressSpaceBytes: 1024 * MiB, cpuSeconds: 30 };
      for (const options of [{}, { idle: true }, { limits }]) {
        const error = await rejection(toolVersions({ searchPath: temp.dir, ...options }), 'tool_missing');
        expect(error.message).to.contain('qemu-img').and.to.contain('qemu-utils');
      }
    } finally {
      await temp.remove();
    }
  });
});
