import { expect } from 'chai';
import { type ParentFacts, type PlanInput, planBackup } from '../../../../src/services/chain/plan.js';
import { isStrataError } from '../../../../src/shared/errors.js';

const parent: ParentFacts = { id: 'bkp_1', health: 'ok', changeId: 'c1', virtualSize: 1024, sizeChanges: 0 };
const input: PlanInput = {
  requestedType: 'incremental',
  onBrokenChain: 'full',
  tracker: 'none',
  trackerDistrusted: false,
  bitmapMissing: false,
  sinceChangeId: null,
  virtualSize: 1024,
  sizeChanges: 0,
  segmentFull: { ...parent, id: 'bkp_0', changeId: 'c0' },
  latest: parent,
  damagedBelow: false,
  suspectBelow: false,
  lineageBroken: false,
  depth: 2,
  fullEvery: undefined,
  fullAfterDays: undefined,
  backupsSinceFull: 1,
  fullAgeMs: 0,
};

function codeOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    if (isStrataError(error)) return error.code;
    throw error;
  }
  return 'nothing thrown';
}

describe('The plan of a backup', () => {
  it('is a full without a reason when a full is asked for', () => {
    expect(planBackup({ ...input, requestedType: 'full' })).to.deep.equal({
      type: 'full',
      mode: 'full',
      parent: null,
      demotedReason: null,
    });
  });

  it('compares the disk with the latest backup where no tracker tells what changed', () => {
    expect(planBackup(input)).to.deep.equal({
      type: 'incremental',
      mode: 'compare',
      parent,
      demotedReason: null,
    });
  });

  it('uses a change list that belongs to the latest backup', () => {
    const plan = planBackup({ ...input, tracker: 'extents', sinceChangeId: 'c1' });
    expect(plan).to.include({ type: 'incremental', mode: 'changes' });
  });

  it('never applies a change list of another parent: it takes a full and says why', () => {
    const plan = planBackup({ ...input, tracker: 'extents', sinceChangeId: 'c0' });
    expect(plan).to.deep.include({ type: 'full', demotedReason: 'change_id_mismatch' });
  });

  it('does not take two missing change ids for equal ones', () => {
    const latest = { ...parent, changeId: null };
    const plan = planBackup({ ...input, tracker: 'bitmap', latest });
    expect(plan).to.deep.include({ type: 'full', demotedReason: 'change_id_missing' });
  });

  it('puts a differential on the full of the segment and checks its change id', () => {
    const plan = planBackup({
      ...input,
      requestedType: 'differential',
      tracker: 'extents',
      sinceChangeId: 'c0',
    });
    expect(plan).to.deep.include({ type: 'differential', mode: 'changes' });
    expect(plan.parent?.id).to.equal('bkp_0');
  });

  it('takes a full with a reason for a first, a damaged, a suspect and a shrunk disk', () => {
    expect(planBackup({ ...input, latest: null, segmentFull: null }).demotedReason).to.equal(
      'no_completed_full',
    );
    expect(planBackup({ ...input, latest: { ...parent, health: 'damaged' } }).demotedReason).to.equal(
      'parent_damaged',
    );
    expect(planBackup({ ...input, damagedBelow: true }).demotedReason).to.equal('parent_damaged');
    expect(planBackup({ ...input, latest: { ...parent, health: 'suspect' } }).demotedReason).to.equal(
      'parent_suspect',
    );
    expect(planBackup({ ...input, suspectBelow: true }).demotedReason).to.equal('parent_suspect');
    expect(planBackup({ ...input, requestedType: 'differential', suspectBelow: true }).type).to.equal(
      'differential',
    );
    expect(planBackup({ ...input, lineageBroken: true }).demotedReason).to.equal('parent_unreadable');
    expect(planBackup({ ...input, depth: 250 }).demotedReason).to.equal('chain_too_long');
    expect(planBackup({ ...input, virtualSize: 512 }).demotedReason).to.equal('disk_shrunk');
  });

  it('calls a first full no demotion when the choice was left to Strata', () => {
    const plan = planBackup({ ...input, requestedType: 'auto', latest: null, segmentFull: null });
    expect(plan).to.deep.include({ type: 'full', demotedReason: null });
  });

  it('compares the whole disk while the tracker is distrusted, if its list would have been used at all', () => {
    const distrusted: PlanInput = { ...input, trackerDistrusted: true };
    expect(planBackup({ ...distrusted, tracker: 'extents', sinceChangeId: 'c1' })).to.deep.equal({
      type: 'incremental',
      mode: 'compare',
      parent,
      demotedReason: 'tracker_distrusted',
    });
    expect(planBackup({ ...distrusted, tracker: 'bitmap', sinceChangeId: 'c0' })).to.deep.include({
      type: 'full',
      demotedReason: 'change_id_mismatch',
    });
    expect(planBackup(distrusted)).to.deep.include({ mode: 'compare', demotedReason: null });
  });

  it('compares the disk where the source does not offer the bitmap, and is refused where the request says fail', () => {
    const missing: PlanInput = { ...input, tracker: 'bitmap', sinceChangeId: 'c1', bitmapMissing: true };
    expect(planBackup(missing)).to.deep.equal({
      type: 'incremental',
      mode: 'compare',
      parent,
      demotedReason: 'bitmap_missing',
    });
    expect(codeOf(() => planBackup({ ...missing, onBrokenChain: 'fail' }))).to.equal('bitmap_missing');
    const full = planBackup({ ...missing, onBrokenChain: 'fail', requestedType: 'full' });
    expect(full).to.include({ type: 'full', demotedReason: null });
    expect(planBackup({ ...missing, latest: null, segmentFull: null })).to.include({
      type: 'full',
      demotedReason: 'no_completed_full',
    });
  });

  it('never believes a tracker about a disk whose size has changed, also where it has the same one again', () => {
    for (const tracker of ['extents', 'bitmap'] as const) {
      const tracked: PlanInput = { ...input, tracker, sinceChangeId: 'c1' };
      const compared = { mode: 'compare', demotedReason: 'disk_resized' };
      expect(planBackup({ ...tracked, virtualSize: 2048 }), tracker).to.include(compared);
      expect(planBackup({ ...tracked, sizeChanges: 2 }), tracker).to.include(compared);
      // A backup of before this was counted, or a catalogue that was rebuilt.
      const latest = { ...parent, sizeChanges: null };
      expect(planBackup({ ...tracked, sizeChanges: 2, latest }), tracker).to.include(compared);
      expect(planBackup({ ...tracked, sizeChanges: 0, latest }), tracker).to.include({ mode: 'changes' });
    }
    const pushed: PlanInput = { ...input, tracker: 'push', sinceChangeId: 'c1', virtualSize: 2048 };
    expect(planBackup(pushed)).to.include({ mode: 'changes', demotedReason: null });
    expect(planBackup({ ...input, virtualSize: 2048 })).to.include({ mode: 'compare', demotedReason: null });
  });

  it('takes every n-th backup as a full where `auto` is told to, counted from the full', () => {
    const types = [0, 1, 2, 3, 4].map((backupsSinceFull) => {
      const plan = planBackup({ ...input, requestedType: 'auto', fullEvery: 3, backupsSinceFull });
      return `${plan.type} ${plan.demotedReason ?? ''}`.trim();
    });
    const full = 'full scheduled_full';
    expect(types).to.deep.equal(['incremental', 'incremental', full, full, full]);
    expect(planBackup({ ...input, requestedType: 'auto', fullEvery: 1, backupsSinceFull: 0 }).type).to.equal(
      'full',
    );
  });

  it('takes a full after n days where `auto` is told to, also when its schedule is a little early', () => {
    const day = 86_400_000;
    const after = (fullAgeMs: number) =>
      planBackup({ ...input, requestedType: 'auto', fullAfterDays: 7, fullAgeMs }).demotedReason;
    expect(after(6 * day)).to.equal(null);
    expect(after(7 * day - 60_000)).to.equal('scheduled_full');
    expect(after(8 * day)).to.equal('scheduled_full');
  });

  it('takes no scheduled full of a disk that has none yet, nor for other types, and never refuses one', () => {
    const due = { fullEvery: 1, fullAfterDays: 1, fullAgeMs: 1e12 };
    const first: PlanInput = { ...input, ...due, requestedType: 'auto', latest: null, segmentFull: null };
    expect(planBackup({ ...first, fullAgeMs: null }).demotedReason).to.equal(null);
    expect(planBackup({ ...input, ...due }).demotedReason).to.equal(null);
    const strict = planBackup({ ...input, ...due, requestedType: 'auto', onBrokenChain: 'fail' });
    expect(strict.demotedReason).to.equal('scheduled_full');
  });

  it('refuses what the request forbids', () => {
    const strict: PlanInput = { ...input, onBrokenChain: 'fail' };
    expect(codeOf(() => planBackup({ ...strict, latest: null, segmentFull: null }))).to.equal('chain_broken');
    expect(codeOf(() => planBackup({ ...strict, tracker: 'extents', sinceChangeId: 'x' }))).to.equal(
      'change_id_mismatch',
    );
  });
});
