import { copyFile, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { BackupJob } from '../../src/entities/index.js';
import { writeAt } from '../helpers/disks.js';
import { startFakeServer } from '../helpers/fakeNbdServer.js';
import { openFleet, type TestFleet } from '../helpers/fleet.js';
import { expectInOrder } from '../helpers/inOrder/index.js';
import { passDelays, startKeeper } from '../helpers/keeping.js';
import { type NbdProxy, openNbdProxy } from '../helpers/nbdProxy.js';
import { type NbdServer, startNbdkit, startQemuNbd } from '../helpers/nbdServers.js';
import { simpleReply } from '../helpers/nbdWire.js';
import { createTrackedVm, type Ledger, type TrackedVm, type Way } from '../helpers/trackedVm.js';

const MIB = 1024 * 1024;
const SIZE = 6 * MIB;
/** Long enough for a healthy server on a machine that is busy with other tests. */
const TIMEOUT_MS = 3_000;
const ATTEMPTS = 3;
/** Bytes of the server after which a copy is in its middle; the handshake and the map of the disk have passed by then. */
const MIDDLE = MIB;
const WAYS: Way[] = ['full', 'changes', 'compare'];

/** A VM that is backed up in one way, from a server behind a proxy. */
interface Case {
  vm: TrackedVm;
  way: Way;
  proxy: NbdProxy;
  server: NbdServer;
}

describe('An NBD source', () => {
  let fleet: TestFleet;
  const ledger: Ledger = { accepted: [], points: [] };
  const failed = new Set<string>();
  const open: { stop(): Promise<void> }[] = [];
  before(async () => {
    fleet = await openFleet({
      lease: { leaseMs: 5_000, renewEveryMs: 1_000, maxAttempts: ATTEMPTS },
      nbdTimeoutMs: TIMEOUT_MS,
    });
    fleet.work(4);
    open.push(startKeeper(fleet));
  });
  after(async () => {
    for (const each of open) await each.stop();
    await fleet.close();
  });

  const opened = (server: NbdServer): NbdServer => {
    open.push(server);
    return server;
  };
  const serve = async (...args: string[]) => opened(await startNbdkit(...args));
  /** nbdkit 1.32 itself dies of an assertion where a connection is cut that has reads under way. */
  const serveFile = async (path: string) => opened(await startQemuNbd(path, '-r', '-f', 'raw'));

  /** One VM for each way, with a full where the way needs one, and changes that a copy has to move. */
  const prepare = (name: string, ways = WAYS): Promise<Case[]> =>
    Promise.all(
      ways.map(async (way) => {
        const vm = await createTrackedVm(fleet, ledger, {
          name: `${name}-${way}`,
          sizeBytes: SIZE,
          pieces: [[0, 4 * MIB]],
        });
        if (way !== 'full') {
          expect((await fleet.ended(await vm.accept('full'))).status).to.equal('completed');
          await vm.change(MIB, 3 * MIB);
        }
        const server = await serveFile(vm.disk);
        const proxy = await openNbdProxy(server);
        open.push({ stop: () => proxy.close() });
        return { vm, way, proxy, server };
      }),
    );
  const row = (id: string) => fleet.suite.ds.getRepository(BackupJob).findOneByOrFail({ id });
  /** How the first attempt failed; its job then waits for the next. */
  const firstFailure = async (id: string): Promise<string> => {
    for (;;) {
      const { errorCode, errorDetail, status } = await row(id);
      if (errorCode !== null) return `${errorCode}: ${errorDetail}`;
      if (status === 'completed') return 'it did not fail';
      await fleet.accept.clock.sleep(20);
    }
  };
  /** Waits until the job has ended; the pauses between its attempts are cut short. */
  const ended = async (id: string) => {
    const timer = setInterval(() => void passDelays(fleet), 200);
    try {
      return await fleet.ended(id, 60_000);
    } finally {
      clearInterval(timer);
    }
  };
  const expectCompleted = async (id: string, attempts: number, what: string) => {
    const end = await ended(id);
    expect(end.status, `${what}: ${end.error_code} ${end.error_detail}`).to.equal('completed');
    const { attempts: taken, errorCode, errorDetail } = await row(id);
    expect(taken, `${what}: ${errorCode} ${errorDetail}`).to.equal(attempts);
  };
  const expectFailed = async (id: string, code: string, what: string, attempts = ATTEMPTS) => {
    failed.add(id);
    const end = await ended(id);
    expect(`${end.status} ${end.error_code}`, `${what}: ${end.error_detail}`).to.equal(`failed ${code}`);
    expect((await row(id)).attempts, what).to.equal(attempts);
  };

  for (const [fault, title] of [
    ['cut', 'closes the connection'],
    ['stall', 'falls silent'],
    ['drip', 'never finishes an answer, but is never silent'],
  ] as const) {
    it(`that ${title} in the middle costs an attempt, and the next one completes`, async () => {
      const cases = await prepare(fault);
      await Promise.all(
        cases.map(async ({ vm, way, proxy }) => {
          proxy.fail(fault, MIDDLE);
          const id = await vm.accept(way, { source: proxy.source });
          expect(await firstFailure(id), way).to.match(/^nbd_connection_lost/);
          await expectCompleted(id, 2, `${fault} ${way}`);
        }),
      );
    });
  }

  it('that falls silent every time is given up after the attempts, and the chain goes on', async () => {
    const cases = await prepare('silent');
    const begun = performance.now();
    await Promise.all(
      cases.map(async ({ vm, way, proxy }) => {
        proxy.fail('stall', MIDDLE, ATTEMPTS);
        await expectFailed(await vm.accept(way, { source: proxy.source }), 'nbd_connection_lost', way);
      }),
    );
    expect(performance.now() - begun).to.be.below(60_000);
    for (const { vm, proxy } of cases)
      await expectCompleted(await vm.accept('auto', { source: proxy.source }), 1, vm.name);
  });

  it('that breaks the protocol fails each way at once with its code: it is no lost connection that is tried again', async () => {
    const server = await startFakeServer(async (peer) => {
      await peer.enter({ size: SIZE });
      // Structured replies were agreed on.
      for (;;) {
        const { cookie, length } = await peer.request();
        peer.say(simpleReply(cookie, 0, Buffer.alloc(length)));
      }
    });
    open.push(server);
    for (const { vm, way } of await prepare('liar')) {
      const id = await vm.accept(way, { source: { type: 'nbd', uri: server.uri } });
      await expectFailed(id, 'nbd_protocol_error', way, 1);
    }
  });

  it('with a bad sector fails what needs it, and nothing else', async () => {
    const map = join(fleet.suite.tempDir, 'bad.map');
    // A mapfile of GNU ddrescue: + is good, - is bad.
    await writeFile(map, '0x0 + 1\n0x0 0x300000 +\n0x300000 0x10000 -\n0x310000 0x2f0000 +\n');
    for (const { vm, way, proxy } of await prepare('bad')) {
      proxy.serve(await serve('--filter=ddrescue', 'file', vm.disk, `ddrescue-mapfile=${map}`));
      await expectFailed(await vm.accept(way, { source: proxy.source }), 'nbd_io_error', way);
      // The failed change list was lost with its job: a full from the file itself, then changes beside the bad sector.
      await expectCompleted(await vm.accept('full'), 1, vm.name);
      await vm.change(0, MIB);
      await expectCompleted(await vm.accept('changes', { source: proxy.source }), 1, vm.name);
    }
  });

  it('that fails reads for a while costs an attempt, and the next one completes', async () => {
    for (const { vm, way, proxy } of await prepare('passing')) {
      const trigger = join(fleet.suite.tempDir, `${vm.name}.errors`);
      await writeFile(trigger, '');
      const errors = ['error-pread=EIO', 'error-pread-rate=100%', `error-file=${trigger}`];
      proxy.serve(await serve('--filter=error', 'file', vm.disk, ...errors));
      const id = await vm.accept(way, { source: proxy.source });
      expect(await firstFailure(id), way).to.match(/^nbd_io_error/);
      await rm(trigger);
      await expectCompleted(id, 2, way);
    }
  });

  it('that is killed and comes back costs an attempt, and the next one completes', async () => {
    const cases = await prepare('killed');
    await Promise.all(
      cases.map(async ({ vm, way, proxy, server }) => {
        const slow = await serve('--filter=delay', 'file', vm.disk, 'rdelay=2500ms');
        proxy.serve(slow);
        const id = await vm.accept(way, { source: proxy.source });
        while ((await row(id)).status !== 'running') await fleet.accept.clock.sleep(10);
        await fleet.accept.clock.sleep(700);
        slow.child.kill('SIGKILL');
        proxy.serve(undefined);
        expect(await firstFailure(id), way).to.match(/^nbd_connection_lost/);
        proxy.serve(server);
        await expectCompleted(id, 2, way);
      }),
    );
  });

  for (const [name, bytes] of [
    ['larger', SIZE + MIB],
    ['smaller', SIZE - MIB],
  ] as const) {
    it(`that comes back ${name} is backed up as it is then`, async () => {
      for (const { vm, way, proxy } of await prepare(name)) {
        proxy.fail('cut', MIDDLE);
        const id = await vm.accept(way, { source: proxy.source });
        expect(await firstFailure(id), way).to.match(/^nbd_connection_lost/);
        await truncate(vm.disk, bytes);
        await writeAt(vm.disk, bytes - 100_000, 100_000);
        await copyFile(vm.disk, ledger.points.find((point) => point.id === id)?.saved ?? '');
        proxy.serve(await serveFile(vm.disk));
        await expectCompleted(id, 2, way);
        const { backupType, demotedReason, virtualSize } = await row(id);
        const demoted = name === 'smaller' && way !== 'full';
        const resized = name === 'larger' && way === 'changes' ? 'disk_resized' : null;
        expect({ backupType, demotedReason, virtualSize }, way).to.deep.equal({
          backupType: way === 'full' || demoted ? 'full' : 'incremental',
          demotedReason: demoted ? 'disk_shrunk' : resized,
          virtualSize: bytes,
        });
      }
    });
  }

  it('leaves everything in order, whatever it did', async () => {
    for (const each of open.splice(0)) await each.stop();
    const points = ledger.points.filter(({ id }) => !failed.has(id));
    const ends = await expectInOrder(fleet, { accepted: ledger.accepted, points });
    for (const [id, { status }] of ends) expect(status, id).to.equal(failed.has(id) ? 'failed' : 'completed');
  });
});
