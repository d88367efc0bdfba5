import { expect } from 'chai';
import fc from 'fast-check';
import { decideRetention } from '../../../../src/services/retention/decide.js';
import { decideForVm, type VmPoint } from '../../../../src/services/retention/forVm.js';
import type { RetentionInput } from '../../../../src/services/retention/types.js';
import { CASES } from './cases.js';
import { isKept, isKeptForVm } from './oracle.js';

const MINUTE = 60_000;
const DAY = 1440 * MINUTE;
const RUNS = 800;

/** Zones, and moments at which something happens there: clocks change, days, weeks, months and years begin. */
const PLACES: [string, string[]][] = [
  ['UTC', ['2028-02-29T00:00Z', '2026-12-31T23:59Z', '2027-01-04T00:00Z']],
  ['Europe/Berlin', ['2026-03-29T01:00Z', '2026-10-25T01:00Z', '2027-12-31T23:00Z']],
  ['America/New_York', ['2026-03-08T07:00Z', '2026-11-01T06:00Z', '2028-02-29T05:00Z']],
  // Half an hour of summer time.
  ['Australia/Lord_Howe', ['2026-04-04T15:00Z', '2026-10-03T15:30Z']],
  // Midnight that does not exist, and an evening that comes twice.
  ['America/Sao_Paulo', ['2018-11-04T03:00Z', '2018-02-18T02:00Z']],
  // A day that was left out.
  ['Pacific/Apia', ['2011-12-30T10:00Z']],
  ['Africa/Casablanca', ['2026-02-15T02:00Z', '2026-03-22T02:00Z']],
  ['Asia/Kathmandu', ['2026-01-01T18:15Z']],
  ['Pacific/Kiritimati', ['2026-12-31T10:00Z']],
];

const rules = fc.record(
  {
    last: fc.nat(4),
    hourly: fc.nat(5),
    daily: fc.nat(4),
    weekly: fc.nat(3),
    monthly: fc.nat(3),
    yearly: fc.nat(3),
    // Often as long as the time between two points.
    withinMs: fc.oneof(
      fc.nat(3 * DAY),
      fc.nat(48).map((hours) => hours * 60 * MINUTE),
      fc.constantFrom(0, DAY, 30 * DAY, 365 * DAY),
    ),
  },
  { requiredKeys: [] },
);
const states = fc.constantFrom<VmPoint['state']>(
  ...(['good', 'good', 'good', 'good', 'damaged', 'suspect', 'incomplete', 'unfinished'] as const),
);
/** Milliseconds from the moment: in one hour, a day, some years; on round minutes and at one instant, too. */
const SCALES = [
  fc.integer({ min: -8, max: 8 }).map((minutes) => minutes * MINUTE),
  fc.integer({ min: -90, max: 90 }).map((minutes) => minutes * MINUTE),
  fc.integer({ min: -24, max: 24 }).map((hours) => hours * 60 * MINUTE),
  fc.integer({ min: -3 * DAY, max: 3 * DAY }),
  fc.integer({ min: -800, max: 800 }).map((days) => days * DAY),
];
const pointsWithin = (distance: fc.Arbitrary<number>) =>
  fc.array(
    fc.record({
      distance,
      state: states,
      protectedFor: fc.option(fc.integer({ min: -5 * DAY, max: 5 * DAY }), { freq: 8 }),
      disks: fc.constantFrom([0, 7], [0, 7], [0, 7], [0], [7]),
    }),
    { maxLength: 40 },
  );
const points = fc.oneof(...[fc.oneof(...SCALES), ...SCALES].map(pointsWithin));
const inputs = fc
  .record({
    rules,
    points,
    place: fc.constantFrom(...PLACES.flatMap(([zone, moments]) => moments.map((at) => [zone, at] as const))),
    // The clock of now: behind all points, or in their midst.
    now: fc.oneof(fc.constant(1000 * DAY), ...SCALES),
    immutableDays: fc.constantFrom(0, 0, 0, 1, 30),
  })
  .map(({ place: [timeZone, at], ...raw }): Omit<RetentionInput, 'points'> & { points: VmPoint[] } => {
    const now = new Date(Date.parse(at) + raw.now);
    return {
      ...raw,
      timeZone,
      now,
      points: raw.points.map(({ distance, state, protectedFor, disks }, index) => ({
        id: `rp_${String(index).padStart(3, '0')}`,
        createdAt: new Date(Date.parse(at) + distance),
        state,
        protectedUntil: protectedFor === null ? null : new Date(Number(now) + protectedFor),
        diskIds: disks,
        whole: disks.length === 2,
      })),
    };
  });

describe('Retention, held against its definition', () => {
  const keptBy = (verdicts: { id: string; keep: boolean }[]) =>
    verdicts
      .filter(({ keep }) => keep)
      .map(({ id }) => id)
      .toSorted();

  it('keeps what one rule keeps, and nothing else, in every zone, at every change of its clocks', () => {
    fc.assert(
      fc.property(inputs, (input) => {
        const wanted = input.points.filter((point) => isKept(point, input)).map(({ id }) => id);
        expect(keptBy(decideRetention(input))).to.deep.equal(wanted.toSorted());
      }),
      { numRuns: RUNS },
    );
  });

  it('agrees with the golden file', () => {
    for (const { title, input } of CASES) {
      const wanted = input.points.filter((point) => isKept(point, input)).map(({ id }) => id);
      expect(keptBy(decideRetention(input)), title).to.deep.equal(wanted.toSorted());
    }
  });

  it('carries out each rule by itself', () => {
    fc.assert(
      fc.property(inputs, (input) => {
        for (const rule of Object.entries(input.rules)) {
          const only = { ...input, rules: Object.fromEntries([rule]) };
          const wanted = only.points.filter((point) => isKept(point, only)).map(({ id }) => id);
          expect(keptBy(decideRetention(only)), String(rule)).to.deep.equal(wanted.toSorted());
        }
      }),
      { numRuns: RUNS / 4 },
    );
  });

  it('judges points of some disks disk by disk, and lets them take the place of no whole one', () => {
    fc.assert(
      fc.property(inputs, (input) => {
        const wanted = input.points.filter((point) => isKeptForVm(point, input)).map(({ id }) => id);
        expect(keptBy(decideForVm(input))).to.deep.equal(wanted.toSorted());
      }),
      { numRuns: RUNS / 2 },
    );
  });
});
