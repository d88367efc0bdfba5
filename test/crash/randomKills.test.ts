import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { BackupJob } from '../../src/entities/index.js';
import { acceptRestore, acceptValidation } from '../../src/producers/accept/index.js';
import { compareImages } from '../../src/qcow2/index.js';
import { openFleet, type TestFleet } from '../helpers/fleet.js';
import { expectInOrder, type SavedPoint } from '../helpers/inOrder/index.js';
import { startKeeper } from '../helpers/keeping.js';
import { type NbdServer, startNbdkit } from '../helpers/nbdServers.js';
import { createRandom, type Random } from '../helpers/random.js';
import { createTrackedVm, type Ledger, type TrackedVm } from '../helpers/trackedVm.js';
import { startWorkforce, type Workforce } from '../helpers/workforce.js';

const MIB = 1024 * 1024;
const SIZE = 4 * MIB;
/** 50 in the soak run, with the leases of a system that nobody has configured. */
const KILLS = Number(process.env.STRATA_RANDOM_KILLS ?? 6);
const LEASE_MS = Number(process.env.STRATA_KILL_LEASE_MS ?? 1_500);
const SEED = Number(process.env.STRATA_KILL_SEED ?? 7_331);
const LANES = 2;
/** What the issue asks for. */
const RECOVERED_WITHIN_MS = 60_000;

/** Each kind of work, and the latest moment of it at which its worker is killed, in ms; about as long as it takes. */
const KINDS = {
  full: 700,
  changes: 900,
  compare: 1_100,
  differential: 1_100,
  restore: 700,
  validation: 300,
} as const;
type Kind = keyof typeof KINDS;
const ORDER = Object.keys(KINDS) as Kind[];

/** A VM whose jobs are struck one after the other, beside those of the other lanes. */
interface Lane {
  vm: TrackedVm;
  /** Slow, so that there is a middle in which to kill. */
  source: NbdServer;
  random: Random;
  /** Its latest backup. */
  latest: SavedPoint;
}

describe('Workers that are killed at random moments', () => {
  let fleet: TestFleet;
  let workforce: Workforce;
  let keeper: { stop(): Promise<void> };
  const lanes: Lane[] = [];
  const ledger: Ledger = { accepted: [], points: [] };
  const recoveries: number[] = [];
  before(async function () {
    this.timeout(120_000);
    fleet = await openFleet({ lease: { leaseMs: LEASE_MS, renewEveryMs: LEASE_MS / 4 } });
    keeper = startKeeper(fleet, Math.max(250, LEASE_MS / 4));
    workforce = startWorkforce(fleet, ['backup', 'backup', 'maintenance', 'restore']);
    for (let n = 0; n < LANES; n++) {
      const pieces = [[0, 2 * MIB]] as const;
      const vm = await createTrackedVm(fleet, ledger, { name: `vm${n}`, sizeBytes: SIZE, pieces });
      // One thread: nbdkit 1.32 dies of an assertion where a connection is cut that several threads answer.
      const source = await startNbdkit('-t', '1', '--filter=delay', 'file', vm.disk, 'rdelay=100ms');
      await ended(await vm.accept('full'), 'the first full');
      lanes.push({ vm, source, random: createRandom(SEED + n), latest: latestPoint() });
    }
  });
  after(async function () {
    this.timeout(60_000);
    await workforce.stop();
    await keeper.stop();
    for (const { source } of lanes) await source.stop();
    await fleet.close();
  });

  const latestPoint = (): SavedPoint => ledger.points.at(-1) ?? { id: '', saved: '' };
  const statusOf = async (id: string) => (await fleet.ended(id, 0).catch(() => undefined))?.status;
  const leaseHeld = async (id: string) => {
    const rows = await fleet.suite.ds.query<unknown[]>('SELECT 1 FROM backup_chains WHERE lease_job_id = ?', [
      id,
    ]);
    return rows.length > 0;
  };
  const ended = async (id: string, what: string) => {
    const end = await fleet.ended(id, RECOVERED_WITHIN_MS);
    expect(end.status, `${what}: ${end.error_code} ${end.error_detail}`).to.equal('completed');
  };
  const targetOf = ({ vm }: Lane) => join(fleet.restores, `${vm.name}.raw`);
  const accept = async (kind: Kind, lane: Lane): Promise<string> => {
    const { vm, source, latest } = lane;
    if (kind === 'validation') {
      const { chainId } = await fleet.suite.ds.getRepository(BackupJob).findOneByOrFail({ id: latest.id });
      const { job_id } = await acceptValidation(fleet.accept, { chainId, level: 'quick' });
      ledger.accepted.push(job_id);
      return job_id;
    }
    if (kind === 'restore') {
      const { restore_id } = await acceptRestore(fleet.accept, {
        backup_id: latest.id,
        target: { type: 'file', path: targetOf(lane) },
        format: 'raw',
        max_bytes_per_second: 4 * MIB,
      });
      ledger.accepted.push(restore_id);
      return restore_id;
    }
    const id = await vm.accept(kind, { source: { type: 'nbd', uri: source.uri() } });
    lane.latest = ledger.points.find((point) => point.id === id) ?? latest;
    return id;
  };
  const expectRestored = async (lane: Lane) => {
    const path = targetOf(lane);
    const { identical, message } = await compareImages(
      { type: 'file', path, format: 'raw' },
      { type: 'file', path: lane.latest.saved, format: 'raw' },
    );
    expect(identical, message).to.equal(true);
    await rm(path);
  };

  /** One job whose worker is killed in the middle of it; false where the job was quicker. */
  const strike = async (lane: Lane, kind: Kind): Promise<boolean> => {
    const { vm, random } = lane;
    await vm.change(random.integer(0, SIZE - 600_000), random.integer(512, 600_000));
    const id = await accept(kind, lane);
    while (!(await leaseHeld(id)) && (await statusOf(id)) === undefined) await fleet.accept.clock.sleep(5);
    await fleet.accept.clock.sleep(random.integer(0, KINDS[kind]));
    const killed = await workforce.killWorkerOf(id);
    const killedAt = performance.now();
    const inTime = killed && (await statusOf(id)) === undefined;
    await ended(id, kind);
    if (inTime) recoveries.push(performance.now() - killedAt);
    if (kind === 'restore') await expectRestored(lane);
    return inTime;
  };

  it('lose nothing: each job is done once, within a minute, and by whom does not matter', async function () {
    this.timeout(KILLS * RECOVERED_WITHIN_MS);
    let next = 0;
    const run = async (lane: Lane) => {
      while (next < KILLS) {
        const kind = ORDER[next++ % ORDER.length] ?? 'full';
        while (!(await strike(lane, kind)));
      }
    };
    await Promise.all(lanes.map(run));
    expect(recoveries).to.have.length(KILLS);
    const sorted = recoveries.map(Math.round).sort((a, b) => a - b);
    expect(sorted.at(-1)).to.be.below(RECOVERED_WITHIN_MS);
    const [least, middle, most] = [sorted[0], sorted[Math.floor(KILLS / 2)], sorted.at(-1)];
    process.stdout.write(
      `    ${KILLS} kills, recovered in ${least}, ${middle}, ${most} ms (least, median, most)\n`,
    );
  });

  it('leave everything in order', async function () {
    this.timeout(60_000 + ledger.points.length * 2_000);
    const ends = await expectInOrder(fleet, ledger);
    for (const [id, { status }] of ends) expect(status, id).to.equal('completed');
  });
});
