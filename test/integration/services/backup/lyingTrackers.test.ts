import type { BackupDiskCreate } from '../../../../src/contract/index.js';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { readSteps } from '../../../../src/db/job/journal.js';
import { BackupJob, RestorePoint } from '../../../../src/entities/index.js';
import { acceptBackup } from '../../../../src/producers/accept/index.js';
import { compareImages } from '../../../../src/qcow2/index.js';
import { sidecarsOf } from '../../../../src/services/repository/layout.js';
import { readManifest } from '../../../../src/services/repository/manifest.js';
import { openFleet, type TestFleet } from '../../../helpers/fleet.js';
import { chanceOf, createLieCounts, drawAgain, liesAmong, type Unnamed } from '../../../helpers/lieLedger.js';
import { createLyingDisk, type LyingDisk, type Tags, writeTags } from '../../../helpers/lyingDisk.js';
import { createRandom, type Random } from '../../../helpers/random.js';
import { endedPoint, imageOf, told } from '../../../helpers/vmOfDisks.js';

const ROUNDS = Number(process.env.STRATA_LIE_ROUNDS ?? 3);
const SEEDS = (process.env.STRATA_LIE_SEEDS ?? '1').split(',').map(Number);
const BLOCKS = 1024;
const SAMPLE = 64;
/** Parts of the disk that change without the tracker's naming them. */
const LIES = [0, 0, 0.001, 0.01, 0.1];

/** A disk's backup, and what it holds. */
interface Kept {
  backup: BackupJob;
  /** Where it differs from the disk of its time, it is silently wrong: a lie that no audit has seen. */
  held: Tags;
  right: boolean;
  sizeBytes: number;
  doubted: boolean;
}

/** A disk of the VM, and what its chain has of it. */
interface Lane {
  disk: LyingDisk;
  held: Tags;
  heldBytes: number;
  changeId: string | undefined;
  distrust: number;
  /** The backups since the last full, that one included. */
  segment: Kept[];
}

describe('A VM whose trackers lie', () => {
  let fleet: TestFleet;
  const lies = createLieCounts();
  before(async () => {
    fleet = await openFleet({ audit: { blocks: SAMPLE, ppm: 1_000_000, distrustBackups: 1 } });
    // Events are recorded where somebody wants to be told.
    await fleet.suite.ds.query(
      `INSERT INTO webhooks (id, name, url, secret, created_at) VALUES ('whk_1', 'w', 'http://x/', 's', UTC_TIMESTAMP(3))`,
    );
    fleet.work(4);
  });
  after(async () => {
    if (process.env.STRATA_LIE_ROUNDS) console.table(Object.fromEntries(lies.counts));
    await fleet.close();
  });

  const tagBut = (random: Random, old = 0): number => {
    const tag = random.integer(1, 254);
    return tag >= old && old > 0 ? tag + 1 : tag;
  };
  /** So many blocks, filled with something else than they hold. */
  const fills = ({ now }: LyingDisk, random: Random, count: number) =>
    new Map(
      Array.from({ length: count }, () => random.integer(0, now.length - 1)).map((block) => [
        block,
        tagBut(random, now[block]),
      ]),
    );
  const change = async ({ disk }: Lane, random: Random) => {
    await disk.overwrite(fills(disk, random, random.integer(1, 12)), false);
    const first = random.integer(0, disk.now.length - 9);
    const trimmed = Array.from({ length: random.integer(0, 8) }, (_, n): [number, number] => [first + n, 0]);
    await disk.overwrite(new Map(trimmed), false);
    if (random.integer(0, 5) === 0) await disk.grow(random.integer(1, 400) * 512, tagBut(random));
    const lie = random.pick(LIES);
    if (lie > 0) await disk.overwrite(fills(disk, random, Math.round(lie * BLOCKS)), true);
  };
  /** What this backup's tracker calls unchanged; of a grown disk nobody asks it. */
  const unnamedOf = ({ disk, held }: Lane): Unnamed => {
    const blocks = [...disk.now.keys()].filter((block) => !disk.named.has(block));
    return { blocks, held, now: disk.now };
  };

  /** Demands that what became of a disk is what had to, by the lies that the test knows; and notes what it now holds. */
  const settle = async (lane: Lane, backup: BackupJob, context: string): Promise<Kept> => {
    const { disk } = lane;
    const unnamed = unnamedOf(lane);
    const hidden = liesAmong(unnamed);
    const caught = backup.demotedReason === 'tracker_lied';
    const isFull = backup.backupType === 'full';
    if (!isFull && backup.sinceChangeId !== null) {
      if (disk.sizeBytes !== lane.heldBytes)
        expect(told(backup), context).to.equal('incremental disk_resized');
      else if (lane.distrust > 0) expect(told(backup), context).to.equal('incremental tracker_distrusted');
    }
    const held = disk.now.slice();
    if (backup.tracker !== null) {
      const image = await imageOf(fleet, backup);
      const audit = (await readManifest(sidecarsOf(image).manifest))?.audit;
      const drawn = drawAgain(unnamed, SAMPLE, audit?.seed ?? '');
      expect(drawn, context).to.have.length(audit?.sampled ?? -1);
      // The sample has not hit: whatever it read was the same.
      expect(
        drawn.filter((block) => hidden.includes(block)),
        context,
      ).to.deep.equal([]);
      for (const block of unnamed.blocks) held[block] = lane.held[block] ?? 0;
    }
    if (caught) {
      const step = (await readSteps(fleet.suite.ds, backup.id)).find(
        ({ step: name }) => name === 'tracker_lied',
      );
      const seen = drawAgain(unnamed, SAMPLE, String(step?.data?.['seed'])).filter((block) =>
        hidden.includes(block),
      );
      expect(step?.data, context).to.deep.include({ differing: seen.length, blocks: seen.slice(0, 16) });
      expect(seen, context).to.not.deep.equal([]);
      for (const kept of lane.segment) if (kept.backup.tracker !== null) kept.doubted = true;
    }
    if (backup.tracker !== null || caught)
      lies.add(hidden.length / disk.now.length, chanceOf(unnamed, SAMPLE), caught);
    if (isFull) lane.segment = [];
    const right = held.every((tag, block) => tag === disk.now[block]);
    const kept = { backup, held, right, sizeBytes: disk.sizeBytes, doubted: false };
    lane.segment.push(kept);
    lane.distrust = isFull ? 0 : caught ? 1 : Math.max(0, lane.distrust - 1);
    lane.held = held;
    lane.heldBytes = disk.sizeBytes;
    lane.changeId = backup.changeId ?? undefined;
    await disk.forget();
    return kept;
  };

  /** Compares a backup with what it must hold, by plain qemu-img. */
  const expectHolds = async ({ backup, held, right, sizeBytes, doubted }: Kept, context: string) => {
    const path = join(fleet.suite.tempDir, `${backup.id}.tags`);
    await writeTags(path, held, sizeBytes);
    const image = { type: 'file' as const, path: await imageOf(fleet, backup), format: 'qcow2' as const };
    const { identical, message } = await compareImages(image, { type: 'file', path, format: 'raw' });
    expect(identical, `${context}, ${right ? 'right' : 'known to be wrong'}: ${message}`).to.equal(true);
    await rm(path);
    const row = await fleet.suite.ds.getRepository(BackupJob).findOneByOrFail({ id: backup.id });
    expect(row.doubtedAt !== null, `${context}: doubted`).to.equal(doubted);
  };
  const expectTold = async (id: string, kept: readonly Kept[], missing: number, context: string) => {
    const point = await fleet.suite.ds.getRepository(RestorePoint).findOneByOrFail({ id });
    const caught = kept.filter(({ backup }) => backup.demotedReason === 'tracker_lied');
    const doubted = kept.filter((each) => each.doubted);
    const warned = caught.length + doubted.length + missing > 0;
    expect(point.status, context).to.equal(warned ? 'completed_with_warnings' : 'completed');
    for (const [code, disks] of [
      ['tracker_lied', caught],
      ['tracker_doubted', doubted],
    ] as const) {
      const noted = (point.notes ?? []).filter((note) => note.code === code).map(({ disk_id }) => disk_id);
      expect(noted, `${context}: ${code}`).to.have.members(disks.map(({ backup }) => backup.diskId));
    }
    const events = await fleet.suite.ds.query<{ subject_id: string }[]>(
      "SELECT subject_id FROM outbox_events WHERE type = 'backup.tracker_lied' AND subject_id IN (?)",
      [kept.map(({ backup }) => backup.id)],
    );
    expect(
      events.map(({ subject_id }) => subject_id),
      context,
    ).to.have.members(caught.map(({ backup }) => backup.id));
  };

  /** Backs up some lanes in any order, and settles each. */
  const backUp = async (vm: string, lanes: readonly Lane[], random: Random, round: number) => {
    const full = random.integer(0, 9) === 0;
    const asked = await Promise.all(
      lanes.map(async ({ disk, changeId }) => {
        const tracked = !full && changeId !== undefined && random.integer(0, 7) > 0;
        const { body, done } = await disk.ask(tracked);
        const since = tracked ? { since_change_id: changeId ?? '' } : {};
        return {
          done,
          body: { disk_id: disk.diskId, change_id: `${disk.diskId}.${round}`, ...since, ...body },
        };
      }),
    );
    try {
      const disks: BackupDiskCreate[] = asked.map(({ body }) => body);
      const request = {
        vm_name: vm,
        repository_id: 'main',
        backup_type: full ? 'full' : 'incremental',
        disks,
      } as const;
      const { restore_point_id, disk_results } = await acceptBackup(fleet.accept, request);
      return await endedPoint(
        fleet,
        restore_point_id,
        disk_results.map(({ backup_id }) => backup_id),
      );
    } finally {
      for (const { done } of asked) await done();
    }
  };

  for (const seed of SEEDS) {
    it(`has no point that is wrong without being known or told, and one disk's lies touch no other (seed ${seed})`, async function () {
      this.timeout(60_000 + ROUNDS * 20_000);
      const random = createRandom(seed);
      const vm = `liar-${seed}`;
      const lanes: Lane[] = [];
      const addLane = async () => {
        const diskId = lanes.length * 3;
        const kind = lanes.length % 3 === 1 ? 'bitmap' : 'list';
        const disk = await createLyingDisk(fleet, { name: `${vm}-${diskId}`, diskId, kind, blocks: BLOCKS });
        await disk.overwrite(fills(disk, random, BLOCKS / 8), false);
        const nothing = {
          held: new Uint8Array(),
          heldBytes: 0,
          changeId: undefined,
          distrust: 0,
          segment: [],
        };
        lanes.push({ disk, ...nothing });
      };
      for (let n = 0; n < 3; n++) await addLane();
      const points: { id: string; kept: Kept[]; missing: number }[] = [];
      for (let round = 0; round < ROUNDS; round++) {
        const context = `seed ${seed}, round ${round}`;
        if (round > 0 && lanes.length < 5 && random.integer(0, 4) === 0) await addLane();
        const left = round > 0 && random.integer(0, 4) === 0 ? random.pick(lanes) : undefined;
        for (const lane of lanes) if (lane.changeId !== undefined) await change(lane, random);
        const chosen = lanes.filter((lane) => lane !== left).sort(() => random.integer(-1, 1));
        const { point, backups } = await backUp(vm, chosen, random, round);
        const kept: Kept[] = [];
        for (const lane of chosen) {
          const backup = backups[lane.disk.diskId];
          if (backup?.status !== 'completed') throw new Error(`${context}: ${backup && told(backup)}`);
          kept.push(await settle(lane, backup, `${context}, disk ${lane.disk.diskId}`));
        }
        points.push({ id: point.id, kept, missing: left && left.changeId !== undefined ? 1 : 0 });
        const look = round === ROUNDS - 1 ? points : points.slice(-1);
        for (const each of look) {
          for (const disk of each.kept) await expectHolds(disk, `${context}, disk ${disk.backup.diskId}`);
        }
        for (const each of points) await expectTold(each.id, each.kept, each.missing, context);
      }
      lies.expectAsLikely();
    });
  }
});
