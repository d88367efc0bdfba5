import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect } from 'chai';
import { constants } from 'node:fs';
import { mkdir, mkdtemp, open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PLAIN_CHAIN } from '../../../helpers/chainFixture.js';
import { codeOf } from '../../../helpers/codeOf.js';
import { type LoopDevice, loopOver, openLoopDevice } from '../../../helpers/loopDevices.js';
import { startQemuNbd } from '../../../helpers/nbdServers.js';
import { runTool } from '../../../helpers/runTool.js';
import { isStrataError, type StrataError } from '../../../../src/shared/errors.js';
import { openBench, type RestoreBench, type RestoreWish } from './support.js';

const MIB = 1024 ** 2;

describe('a restore to a block device', function () {
  this.timeout(120_000);
  let bench: RestoreBench;
  let directory: string;
  let device: LoopDevice;
  let cleanUp: (() => Promise<unknown>)[];

  before(async () => {
    bench = await openBench(PLAIN_CHAIN);
  });

  after(() => bench.close());

  beforeEach(async () => {
    cleanUp = [];
    directory = await mkdtemp(join(bench.suite.tempDir, 'd-'));
    device = await openLoopDevice(directory, 'disk.img', 64 * MIB);
    cleanUp.push(() => device.detach());
  });

  afterEach(async () => {
    for (const undo of cleanUp.toReversed()) await undo();
  });

  const restore = (path: string, wish: Partial<RestoreWish> = {}) =>
    bench.restore({ path, roots: ['/dev', bench.target], ...wish });

  const refusal = async (path: string): Promise<StrataError> => {
    const error: unknown = await restore(path).then(
      () => new Error('It was not refused.'),
      (reason: unknown) => reason,
    );
    if (isStrataError(error)) return error;
    throw error;
  };

  /** Restores to the path are refused, the message says why, and not a byte of the file changes. */
  const expectRefused = async (path: string, why: string, file = device.file): Promise<void> => {
    await runTool('sync', device.path, path, file);
    const before = await readFile(file);
    const error = await refusal(path);
    expect(error.code, error.message).to.equal('target_in_use');
    expect(error.message).to.contain(why);
    expect((await readFile(file)).equals(before)).to.equal(true);
  };

  const mount = async (what: string): Promise<string> => {
    await runTool('mkfs.ext4', '-q', '-b', '4096', '-O', '^has_journal', what);
    const point = await mkdtemp(join(directory, 'm nt-'));
    await runTool('mount', what, point);
    cleanUp.push(() => runTool('umount', point));
    return point;
  };

  it('destroys no file system that is mounted from it', async () => {
    const point = await mount(device.path);
    await expectRefused(device.path, `is mounted at ${point}`);
  });

  it('destroys no mounted partition of it, and leaves the partition beside that one to a restore', async () => {
    const [first = '', second = ''] = await device.addPartitions([MIB, 24 * MIB], [32 * MIB, 24 * MIB]);
    const point = await mount(first);
    for (const path of [device.path, first]) await expectRefused(path, `is mounted at ${point}`);
    expect(await restore(second)).to.include({ path: second, verified: true });
    const written = (await readFile(device.file)).subarray(32 * MIB, 48 * MIB);
    expect(written.equals(bench.at(4).content)).to.equal(true);
  });

  it('does not write to a partition of a disk that is mounted as a whole', async () => {
    const [first = ''] = await device.addPartitions([MIB, 24 * MIB]);
    const point = await mount(device.path);
    await expectRefused(first, `is mounted at ${point}`);
  });

  it('does not write into swap space', async () => {
    await runTool('mkswap', device.path);
    await runTool('swapon', device.path);
    cleanUp.push(() => runTool('swapoff', device.path));
    await expectRefused(device.path, `is swap space (${device.path})`);
  });

  it('does not write below a device that is made of it', async () => {
    const upper = await loopOver(device.path);
    cleanUp.push(() => upper.detach());
    await expectRefused(device.path, `is mapped: ${upper.path.slice('/dev/'.length)} is made of it`);
  });

  it('does not write over what is mounted by another loop device on the same file', async () => {
    const other = await loopOver(device.file);
    cleanUp.push(() => other.detach());
    const point = await mount(other.path);
    await expectRefused(device.path, `is mounted at ${point}`);
  });

  it('does not write where another program has it open for writing, and names the program', async () => {
    const child = spawn('sh', ['-c', `exec sleep 1000 3<>${device.path}`], { stdio: 'ignore' });
    cleanUp.push(async () => {
      child.kill('SIGKILL');
      await once(child, 'exit');
    });
    while ((await readFile(`/proc/${child.pid}/comm`, 'utf8')).trim() !== 'sleep')
      await new Promise((resolve) => setTimeout(resolve, 20));
    await expectRefused(device.path, `is open for writing in sleep (process ${child.pid})`);
  });

  it('does not write where QEMU has it for a guest', async () => {
    const server = await startQemuNbd(device.path, '-f', 'raw');
    cleanUp.push(() => server.stop());
    await expectRefused(device.path, 'is open for writing in qemu-nbd (process ');
  });

  it('holds it until the content is proved: nobody can mount it, swap to it or take it so meanwhile', async () => {
    const tried: string[] = [];
    const point = join(directory, 'point');
    await mkdir(point);
    const jobId = await bench.add({ path: device.path });
    let checks: Promise<unknown> = Promise.resolve();
    const seen = new Set<string>();
    const attempt = async (phase: string) => {
      for (const [tool, ...args] of [
        ['mount', '-t', 'ext4', device.path, point],
        ['mkswap', device.path],
        ['mkfs.ext4', '-q', device.path],
      ] as const) {
        const outcome = await runTool(tool, ...args).then(
          () => 'done',
          () => 'refused',
        );
        tried.push(`${phase} ${tool} ${outcome}`);
      }
    };
    await bench.attempt(jobId, {
      roots: ['/dev'],
      report: ({ phase }) => {
        if (!seen.has(phase)) checks = checks.then(() => attempt(phase));
        seen.add(phase);
      },
    });
    await checks;
    expect(tried.length).to.be.greaterThan(2);
    // The last of them may have come after the end.
    const during = tried.filter((one) => one.startsWith('restoring'));
    expect(during).to.deep.equal([
      'restoring mount refused',
      'restoring mkswap refused',
      'restoring mkfs.ext4 refused',
    ]);
  });

  it('does not fail for an earlier attempt of itself, whose worker was frozen: it waits', async () => {
    const jobId = await bench.add({ path: device.path });
    const frozen = await open(device.path, constants.O_RDWR | constants.O_EXCL);
    const again = (deaths: number) =>
      codeOf(
        bench.attempt(jobId, {
          roots: ['/dev'],
          held: (held) => ({ ...held, lease: { ...held.lease, deaths } }),
        }),
      );
    expect(await again(0)).to.equal('target_in_use');
    expect(await again(1)).to.equal('resource_busy');
    await frozen.close();
    expect(await again(1)).to.equal('no error');
  });

  it('takes what a name leads to for what it is: a node in another directory is a device, /dev/shm holds files', async () => {
    const number = (await runTool('stat', '-c', '%Hr %Lr', device.path)).trim().split(' ');
    const node = join(bench.target, 'node');
    await runTool('mknod', node, 'b', ...number);
    cleanUp.push(() => runTool('rm', '-f', node));
    expect(await restore(node)).to.include({ path: node, verified: true });
    expect((await readFile(device.file)).subarray(0, 16 * MIB).equals(bench.at(4).content)).to.equal(true);
    const shared = await mkdtemp('/dev/shm/strata-test-');
    cleanUp.push(() => runTool('rm', '-r', shared));
    const path = join(shared, 'x.qcow2');
    expect(await restore(path, { format: 'qcow2' })).to.include({ path, verified: true });
    expect(await codeOf(restore(path, { format: 'qcow2' }))).to.equal('file_exists');
  });
});
