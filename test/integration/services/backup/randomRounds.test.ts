import type { BackupDiskCreate } from '../../../../src/contract/index.js';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { acceptBackup, acceptRestore } from '../../../../src/producers/accept/index.js';
import { BackupJob, type RequestedType } from '../../../../src/entities/index.js';
import { compareImages } from '../../../../src/qcow2/index.js';
import { openFleet, type TestFleet } from '../../../helpers/fleet.js';
import { createLiveDisk, type LiveDisk } from '../../../helpers/liveDisk.js';
import { startQemuNbd } from '../../../helpers/nbdServers.js';
import { createRandom, type Random } from '../../../helpers/random.js';

const SIZE = 12 * 1024 * 1024 + 1536;
const ROUNDS = Number(process.env.STRATA_ROUNDS ?? 6);
const SEEDS = (process.env.STRATA_SEEDS ?? '1,2').split(',').map(Number);
type Way = 'compare' | 'extents' | 'bitmap';

interface Point {
  backupId: string;
  saved: string;
}

/** Backs the disk up in the given way; the disk is not changed meanwhile. */
async function backUp(
  fleet: TestFleet,
  disk: LiveDisk,
  state: State,
  type: RequestedType,
  way: Way,
): Promise<string> {
  const changeId = `change-${state.points.length}`;
  const tracked = way !== 'compare' && type !== 'full';
  const common = {
    disk_id: 0,
    change_id: changeId,
    ...(state.changeId && tracked ? { since_change_id: state.changeId } : {}),
  };
  const body: BackupDiskCreate = { ...common, source: { type: 'file', path: disk.path, format: 'qcow2' } };
  if (way === 'extents' && tracked)
    body.changed_extents = disk.touched.length > 0 ? disk.touched : [{ offset: 0, length: 512 }];
  const server =
    way === 'bitmap' ? await startQemuNbd(disk.path, '-r', '-f', 'qcow2', '-B', state.bitmap) : undefined;
  try {
    if (server) body.source = { type: 'nbd', uri: server.uri(), bitmap: state.bitmap };
    const answer = await acceptBackup(fleet.accept, {
      vm_name: 'live',
      repository_id: 'main',
      backup_type: type,
      disks: [body],
    });
    const backupId = answer.disk_results[0]?.backup_id ?? '';
    const end = await fleet.ended(backupId);
    expect(end.status, `${end.error_code}: ${end.error_detail}`).to.equal('completed');
    state.changeId = changeId;
    return backupId;
  } finally {
    await server?.stop();
  }
}

interface State {
  points: Point[];
  changeId: string | undefined;
  bitmap: string;
}

async function nextBitmap(disk: LiveDisk, state: State): Promise<void> {
  if (state.bitmap) await disk.removeBitmap(state.bitmap);
  state.bitmap = `bitmap${state.points.length}`;
  await disk.addBitmap(state.bitmap);
  disk.forget();
}

async function compareEveryPoint(fleet: TestFleet, points: readonly Point[], context: string): Promise<void> {
  for (const [index, { backupId, saved }] of points.entries()) {
    const path = join(fleet.restores, `point-${index}.raw`);
    const { restore_id } = await acceptRestore(fleet.accept, {
      backup_id: backupId,
      target: { type: 'file', path },
      format: 'raw',
    });
    const end = await fleet.ended(restore_id);
    expect(end.status, `${context}, point ${index}: ${end.error_detail}`).to.equal('completed');
    const { identical, message } = await compareImages(
      { type: 'file', path, format: 'raw' },
      { type: 'file', path: saved, format: 'qcow2' },
    );
    expect(identical, `${context}, point ${index}: ${message}`).to.equal(true);
    await rm(path);
  }
}

async function round(fleet: TestFleet, disk: LiveDisk, state: State, random: Random): Promise<void> {
  await disk.mutate();
  const grows = random.integer(0, 4) === 0;
  if (grows) await disk.grow();
  const first = state.points.length === 0;
  const type = first
    ? 'full'
    : random.pick<RequestedType>(['incremental', 'incremental', 'incremental', 'auto', 'full']);
  const way: Way = first ? 'compare' : random.pick<Way>(['compare', 'extents', 'bitmap']);
  const context = `seed ${random.seed}, round ${state.points.length}: ${type} by ${way}`;
  const backupId = await backUp(fleet, disk, state, type, way);
  const row = await fleet.suite.ds.getRepository(BackupJob).findOneByOrFail({ id: backupId });
  if (type !== 'auto') expect(row.backupType, context).to.equal(type);
  const doubted = grows && way !== 'compare' && type !== 'full';
  expect(row.demotedReason, context).to.equal(doubted ? 'disk_resized' : null);
  const saved = join(fleet.suite.tempDir, `saved-${random.seed}-${state.points.length}.qcow2`);
  await disk.save(saved);
  state.points.push({ backupId, saved });
  await nextBitmap(disk, state);
  await compareEveryPoint(fleet, state.points, context);
}

describe('Random rounds', () => {
  let fleet: TestFleet;
  beforeEach(async () => {
    fleet = await openFleet();
    fleet.work();
  });
  afterEach(() => fleet.close());

  for (const seed of SEEDS) {
    it(`of changes and backups by every way leave every point of the chain as it was (seed ${seed})`, async function () {
      this.timeout(ROUNDS * ROUNDS * 10_000);
      const random = createRandom(seed);
      const disk = await createLiveDisk(join(fleet.sources, 'live.qcow2'), SIZE, random);
      const state: State = { points: [], changeId: undefined, bitmap: '' };
      for (let n = 0; n < ROUNDS; n++) await round(fleet, disk, state, random);
    });
  }
});
