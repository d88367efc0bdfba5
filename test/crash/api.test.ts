import type { BackupCreate } from '../../src/contract/index.js';
import { copyFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { expect } from 'chai';
import { In } from '../../src/entities/orm.js';
import { BackupJob, RestorePoint } from '../../src/entities/index.js';
import { readEvents } from '../../src/client/eventStream.js';
import { acceptBackup } from '../../src/producers/accept/index.js';
import { type ApiAddress, createApiAddress, post, startApiProcess } from '../helpers/apiProcess.js';
import { makeDisk } from '../helpers/disks.js';
import { openFleet, type TestFleet } from '../helpers/fleet.js';
import type { FleetProcess } from '../helpers/fleetProcess.js';
import { expectInOrder } from '../helpers/inOrder/index.js';
import { createRandom } from '../helpers/random.js';
import type { Ledger } from '../helpers/trackedVm.js';

const KILLS = Number(process.env.STRATA_API_KILLS ?? 3);
const FREEZE_MS = Number(process.env.STRATA_API_FREEZE_MS ?? 3_000);
const VMS = ['a', 'b', 'c'];
/** Between two requests of one client, in ms. */
const PACE_MS = 150;

describe('An API process', () => {
  let fleet: TestFleet;
  /** Where the present process listens; the next has another port. */
  let address: ApiAddress;
  let api: FleetProcess;
  let disk: string;
  const ledger: Ledger = { accepted: [], points: [] };
  before(async function () {
    this.timeout(60_000);
    fleet = await openFleet();
    fleet.work();
    disk = join(fleet.sources, 'disk.raw');
    await makeDisk(disk, 1024 * 1024, [[0, 100_000]]);
    address = await createApiAddress(fleet);
    api = await startApiProcess(fleet, address);
  });
  after(async function () {
    this.timeout(60_000);
    await api.stop();
    await fleet.close();
  });

  const bodyOf = (vm_name: string): BackupCreate => ({
    vm_name,
    repository_id: 'main',
    backup_type: 'auto',
    disks: [{ disk_id: 0, source: { type: 'file', path: disk, format: 'raw' } }],
  });
  const note = async (id: string) => {
    const saved = join(fleet.suite.tempDir, `${id}.saved`);
    await copyFile(disk, saved);
    ledger.accepted.push(id);
    ledger.points.push({ id, saved });
  };
  /** Repeats a request, as a client does, until it has an answer; `answers` are all that came. */
  const insist = async (vm: string, key: string, answers: string[]) => {
    for (;;) {
      try {
        const { status, body } = await post(address, 'backups', { body: bodyOf(vm), key, timeoutMs: 20_000 });
        if (status === 202) {
          answers.push(body.disk_results[0].backup_id);
          return;
        }
        expect(status, JSON.stringify(body)).to.equal(503);
      } catch (error) {
        // Refused, reset, cut in the middle of the answer: what fetch throws when there is none.
        if (!(error instanceof TypeError)) throw error;
      }
      await fleet.accept.clock.sleep(30);
    }
  };

  it('may be killed at any moment: what it has accepted is in the database, and is accepted once', async function () {
    this.timeout(60_000 + KILLS * 10_000);
    const random = createRandom(16);
    const answers = new Map<string, string[]>();
    const killed = new AbortController();
    const client = async (vm: string) => {
      for (let n = 0; !killed.signal.aborted; n++) {
        const key = `${vm}-${n}`;
        const got: string[] = [];
        answers.set(key, got);
        // Sometimes the client is impatient, and the request is there twice.
        const times = random.integer(1, 4) === 1 ? 2 : 1;
        await Promise.all(Array.from({ length: times }, () => insist(vm, key, got)));
        await note(got[0] ?? '');
        await fleet.accept.clock.sleep(PACE_MS);
      }
    };
    const clients = VMS.map(client);
    for (let kill = 0; kill < KILLS; kill++) {
      const next = await createApiAddress(fleet, address.token);
      const started = startApiProcess(fleet, next);
      await fleet.accept.clock.sleep(random.integer(20, 300));
      const dead = api;
      dead.child.kill('SIGKILL');
      expect(await dead.gone).to.equal('SIGKILL');
      api = await started;
      address = next;
    }
    killed.abort();
    await Promise.all(clients);
    for (const [key, got] of answers) {
      await insist(key.split('-')[0] ?? '', key, got);
      expect(new Set(got).size, `${key}: ${got.join()}`).to.equal(1);
    }
    expect((await fleet.suite.ds.getRepository(BackupJob).find()).map(({ id }) => id)).to.have.members([
      ...new Set([...answers.values()].flat()),
    ]);
    expect(await fleet.suite.ds.getRepository(RestorePoint).count()).to.equal(answers.size);
  });

  it('may be frozen: what was under way is answered when it thaws, and others go on meanwhile', async function () {
    this.timeout(60_000 + FREEZE_MS);
    const underWay = VMS.map((vm) =>
      post(address, 'backups', { body: bodyOf(vm), key: `${vm}-frozen`, timeoutMs: 60_000 }),
    );
    await fleet.accept.clock.sleep(3);
    api.child.kill('SIGSTOP');
    const frozenAt = performance.now();
    // One that was frozen in the middle of a transaction holds its chain until the server ends that.
    const meanwhile: string[] = [];
    for (const vm of VMS) {
      const { disk_results } = await acceptBackup(fleet.accept, bodyOf(vm));
      meanwhile.push(disk_results[0]?.backup_id ?? '');
    }
    await fleet.accept.clock.sleep(FREEZE_MS - (performance.now() - frozenAt));
    api.child.kill('SIGCONT');
    const thawed: string[] = [];
    for (const [index, answer] of underWay.entries()) {
      let { status, body } = await answer;
      // The server has ended the transaction that was frozen in the middle: the same key may ask again.
      if (status === 503) {
        const vm = VMS[index] ?? '';
        ({ status, body } = await post(address, 'backups', { body: bodyOf(vm), key: `${vm}-frozen` }));
      }
      expect(status, JSON.stringify(body)).to.equal(202);
      thawed.push(body.disk_results[0].backup_id);
    }
    const { ds } = fleet.suite;
    const rows = await ds.getRepository(BackupJob).find({ where: { id: In([...meanwhile, ...thawed]) } });
    expect(rows).to.have.length(VMS.length * 2);
    for (const { id } of rows.sort((one, other) => one.seq - other.seq)) await note(id);
    for (const vm of VMS) {
      const again: string[] = [];
      await insist(vm, `${vm}-frozen`, again);
      expect(thawed).to.include(again[0]);
    }
  });

  it('on SIGTERM answers what is under way, ends its event streams, lets nobody in and ends', async () => {
    const { ds } = fleet.suite;
    const events = await fetch(`${address.url}/api/v1/events`, {
      headers: { authorization: `Bearer ${address.token}` },
    });
    const streamed = (async () => {
      if (!events.body) throw new Error('The answer has no body.');
      for await (const { event } of readEvents(events.body)) expect(event).to.equal('job');
      return 'ended';
    })();
    const locked = ds.createQueryRunner();
    let underWay: ReturnType<typeof post>;
    try {
      await locked.startTransaction();
      await locked.query('SELECT id FROM backup_chains FOR UPDATE');
      underWay = post(address, 'backups', { body: bodyOf('a'), key: 'draining' });
      const settled = underWay.then(() => 'answered');
      await fleet.accept.clock.sleep(300);
      api.child.kill('SIGTERM');
      expect(await streamed).to.equal('ended');
      while ((await knock(address.port)) !== 'ECONNREFUSED') await fleet.accept.clock.sleep(20);
      expect(await Promise.race([settled, fleet.accept.clock.sleep(100)])).to.equal(undefined);
    } finally {
      await locked.rollbackTransaction();
      await locked.release();
    }
    const { status, body } = await underWay;
    expect(status).to.equal(202);
    await note(body.disk_results[0].backup_id);
    expect(await api.gone).to.equal(null);
    expect(api.child.exitCode, api.output()).to.equal(0);
  });

  it('leaves everything in order', async () => {
    for (const [id, { status, error_detail }] of await expectInOrder(fleet, ledger))
      expect(status, `${id}: ${error_detail}`).to.equal('completed');
  });
});

/** Opens a new connection, and says what came of it. */
function knock(port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code));
    socket.once('connect', () => {
      socket.destroy();
      resolve('connected');
    });
  });
}
