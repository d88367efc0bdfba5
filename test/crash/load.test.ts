import { expect } from 'chai';
import { type LoadFigures, runLoad } from '../helpers/load/index.js';

/** 200 and 20 in the soak run. */
const CHAINS = Number(process.env.STRATA_LOAD_CHAINS ?? 9);
const BACKUPS = Number(process.env.STRATA_LOAD_BACKUPS ?? 4);
const ALL = CHAINS * BACKUPS;
const DEADLINE_MS = 150_000 + ALL * 3_000;

describe('Workers that are killed and frozen at random under load', () => {
  let figures: LoadFigures;
  before(async function () {
    this.timeout(DEADLINE_MS * 1.5);
    figures = await runLoad({
      seed: Number(process.env.STRATA_LOAD_SEED ?? 20_261),
      chains: CHAINS,
      backups: BACKUPS,
      workers: 4,
      faultEveryMs: 2_000,
      lease: { leaseMs: 2_000, renewEveryMs: 500 },
      sweepMs: 500,
      deadlineMs: DEADLINE_MS,
    });
  });

  it('lose no accepted backup and make none twice', () => {
    expect(figures.verdict).to.include({ accepted: ALL, completed: ALL, doubled: 0 });
    expect(figures.verdict.lost).to.deep.equal([]);
    expect(figures.repeated.differently).to.equal(0);
  });

  it('keep every chain linear and in the accepted order', () => {
    expect(figures.verdict.outOfOrder).to.deep.equal([]);
  });

  it('leave nothing half-written, and no lease, queue entry or process', () => {
    expect(figures.verdict.leftovers).to.deep.equal([]);
  });

  it('leave points that are what their disks were', () => {
    expect(figures.verdict.wrong).to.deep.equal([]);
    expect(figures.verdict.compared.ids).to.equal(ALL);
    expect(figures.verdict.compared.bytes).to.be.at.least(CHAINS);
  });

  it('were struck, and their jobs run again within a few leases', () => {
    const { workerKills, freezes, afterKillMs, afterFreezeMs } = figures.faults;
    expect(workerKills + freezes).to.be.greaterThan(0);
    expect(Math.max(0, ...afterKillMs, ...afterFreezeMs)).to.be.below(60_000);
  });
});
