import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { startQemuNbd } from '../../helpers/nbdServers.js';
import { runTool } from '../../helpers/runTool.js';
import { type Ended, runMain } from './system.js';

const MIB = 1024 * 1024;

describe('strata backup --bitmap', function () {
  this.timeout(300_000);
  let root = '';
  let dataDir = '';
  const strata = (...args: string[]): Promise<Ended> => runMain('cli', args, { STRATA_DATA_DIR: dataDir });
  const json = async (...args: string[]) => {
    const { code, out, err } = await strata(...args, '--json');
    expect(code, `strata ${args.join(' ')}: ${err}`).to.equal(0);
    return JSON.parse(out);
  };
  before(async () => {
    root = await mkdtemp(join(tmpdir(), 'cli-'));
    dataDir = join(root, 'data');
    await mkdir(join(root, 'repo'));
    await json('up');
    await json('repo', 'add', 'main', join(root, 'repo'));
  });
  after(async () => {
    await strata('down');
    await rm(root, { recursive: true, force: true });
  });

  it('is never ignored: a registered NBD disk is backed up by it, and any other refuses it', async () => {
    const disk = join(dataDir, 'sources', 'live.qcow2');
    await runTool('qemu-img', 'create', '-q', '-f', 'qcow2', disk, '8M');
    await runTool('qemu-io', '-f', 'qcow2', '-c', 'write -q -P 1 0 8M', disk);
    await runTool('qemu-img', 'bitmap', '--add', '-g', '65536', '-f', 'qcow2', disk, 'b0');
    // Sockets below the roots of sources may be read.
    const socket = join(dataDir, 'sources', 'nbd');
    const served = async (...args: string[]) => {
      const server = await startQemuNbd(disk, '-r', '-f', 'qcow2', '-B', 'b0', '-k', socket);
      try {
        return (await json('backup', 'live', '--disk', '0', ...args, '--wait')).backups[0];
      } finally {
        await server.stop();
      }
    };
    await json(
      'vm',
      'add',
      'live',
      '--repo',
      'main',
      '--disk',
      `0=nbd+unix:///?socket=${socket}`,
      '--disk',
      `1=${disk}`,
    );
    await served('--change-id', 'b0');
    await runTool('qemu-io', '-f', 'qcow2', '-c', 'write -q -P 2 1M 1M', disk);
    const tracked = ['--type', 'incremental', '--bitmap', 'b0', '--since-change-id', 'b0'];
    const backup = await served(...tracked);
    expect(backup).to.include({ tracker: 'bitmap', demoted_reason: null, bytes_transferred: MIB });
    const refused = await strata('backup', 'live', '--disk', '1', ...tracked);
    expect(refused.code).to.equal(2);
    expect(refused.err).to.include('disk 1 is not registered with one');
  });
});
