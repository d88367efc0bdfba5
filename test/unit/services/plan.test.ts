import { expect } from 'chai';
import { type ParentFacts, type PlanInput, planBackup } from '../../../src/services/backup/plan.js';
import { isStrataError } from '../../../src/shared/errors.js';

const parent: ParentFacts = { id: 'bkp_1', health: 'ok', changeId: 'c1', virtualSize: 1024 };
const input: PlanInput = {
  requestedType: 'incremental',
  onBrokenChain: 'full',
  tracker: 'none',
  sinceChangeId: null,
  virtualSize: 1024,
  segmentFull: { ...parent, id: 'bkp_0', changeId: 'c0' },
  latest: parent,
  damagedBelow: false,
  lineageBroken: false,
  depth: 2,
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

  it('takes a full with a reason for a first, a damaged and a shrunk disk', () => {
    expect(planBackup({ ...input, latest: null, segmentFull: null }).demotedReason).to.equal(
      'no_completed_full',
    );
    expect(planBackup({ ...input, latest: { ...parent, health: 'damaged' } }).demotedReason).to.equal(
      'parent_damaged',
    );
    expect(planBackup({ ...input, damagedBelow: true }).demotedReason).to.equal('parent_damaged');
    expect(planBackup({ ...input, lineageBroken: true }).demotedReason).to.equal('parent_unreadable');
    expect(planBackup({ ...input, depth: 250 }).demotedReason).to.equal('chain_too_long');
    expect(planBackup({ ...input, virtualSize: 512 }).demotedReason).to.equal('disk_shrunk');
  });

  it('calls a first full no demotion when the choice was left to Strata', () => {
    const plan = planBackup({ ...input, requestedType: 'auto', latest: null, segmentFull: null });
    expect(plan).to.deep.include({ type: 'full', demotedReason: null });
  });

  it('refuses what the request forbids', () => {
    const strict: PlanInput = { ...input, onBrokenChain: 'fail' };
    expect(codeOf(() => planBackup({ ...strict, latest: null, segmentFull: null }))).to.equal('chain_broken');
    expect(codeOf(() => planBackup({ ...strict, tracker: 'extents', sinceChangeId: 'x' }))).to.equal(
      'change_id_mismatch',
    );
  });
});
