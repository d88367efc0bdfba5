import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import type { Backup } from '../../../src/contract/index.js';
import { runTool } from '../../helpers/runTool.js';
import { openApi, type TestApi } from '../producers/http/support.js';
import { type LiveDaemon, startLiveDaemon } from './liveDaemon.js';

const PROGRAM = fileURLToPath(new URL('../../../../examples/qemu-live/backup.mjs', import.meta.url));
const BLOCKS = 256;

describe('The example of a live QEMU disk', () => {
  let api: TestApi;
  let daemon: LiveDaemon;
  let address: string;
  let writing: Promise<void> | undefined;
  const guest = { stopped: false, writes: 0 };

  before(async () => {
    api = await openApi();
    address = await api.app.listen({ host: '127.0.0.1', port: 0 });
    api.fleet.work();
    daemon = await startLiveDaemon(api.fleet.suite.tempDir, BLOCKS * 65536);
    for (let block = 0; block < 64; block++) await daemon.write(block, 1);
    writing = writeOn();
  });
  after(async () => {
    guest.stopped = true;
    await writing;
    await daemon.close();
    await api.close();
  });

  /** The guest, which never stops. */
  const writeOn = async () => {
    for (; !guest.stopped; guest.writes++)
      await daemon.write((guest.writes * 37) % BLOCKS, guest.writes % 256);
  };

  const start = (options: Record<string, string>) => {
    const all = {
      qmp: daemon.qmp,
      node: 'disk0',
      vm: 'live',
      repository: 'main',
      nbd: daemon.nbd,
      scratch: api.fleet.suite.tempDir,
      ...options,
    };
    const args = Object.entries(all).flatMap(([name, value]) => [`--${name}`, value]);
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', process.execPath, PROGRAM, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, STRATA_URL: address, STRATA_TOKEN: api.tokens.operator },
    });
    let text = '';
    let trouble = '';
    child.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (trouble += chunk.toString()));
    const ended = once(child, 'close').then(([code]) => ({ code: code as number | null, text, trouble }));
    return { child, ended };
  };

  /** One run of the program, and the proof that the backup is the instant that it froze. */
  const backUp = async (): Promise<Backup> => {
    const instant = join(api.fleet.suite.tempDir, 'instant.raw');
    const { code, text, trouble } = await start({ 'save-instant': instant }).ended;
    expect(code, trouble + text).to.equal(0);
    const backup = JSON.parse(text) as Backup;
    const image = join(api.fleet.repositoryRoot, backup.repository_path ?? '');
    await runTool('qemu-img', 'compare', '-f', 'raw', '-F', 'qcow2', instant, image);
    await rm(instant);
    return backup;
  };
  const bitmapsOf = (backup: Backup) => [backup.since_change_id, backup.change_id];

  it('backs up while the guest writes: a full, then what has changed', async () => {
    const full = await backUp();
    expect(full.backup_type).to.equal('full');
    const first = await backUp();
    expect(first.backup_type).to.equal('incremental');
    expect(bitmapsOf(first)[0]).to.equal(full.change_id);
    const before = guest.writes;
    const second = await backUp();
    expect(second.parent_backup_id).to.equal(first.id);
    // At most what was written since the instant before, and not what the increment before has had already.
    expect(second.bytes_transferred).to.be.lessThanOrEqual((guest.writes - before + 64) * 65536);
  });

  it('forgets no change when a backup fails', async () => {
    const { code } = await start({ nbd: join(api.fleet.suite.tempDir, 'nobody-here.sock') }).ended;
    expect(code).to.equal(1);
    const next = await backUp();
    expect(next.backup_type).to.equal('incremental');
  });

  it('forgets no change when it is killed at any moment, and tidies up what was left', async () => {
    for (const ms of [150, 400, 700, 1100]) {
      const { child, ended } = start({});
      await new Promise((resolve) => setTimeout(resolve, ms));
      child.kill('SIGKILL');
      await ended;
      await backUp();
    }
  });
});
