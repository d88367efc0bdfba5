import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import fc from 'fast-check';
import { decideRetention } from '../../../../src/services/retention/decide.js';
import type { PointFacts, RetentionInput } from '../../../../src/services/retention/types.js';
import { CASES } from './cases.js';
import type { RetentionCase } from './makeCase.js';

const GOLDEN = fileURLToPath(new URL('../../../../../test/fixtures/retention/golden.txt', import.meta.url));

function show({ title, input }: RetentionCase): string {
  const rows = decideRetention(input).map(({ createdAt, state, keep, reasons }) => {
    const what = `${keep ? 'keep  ' : 'remove'} ${createdAt.toISOString()} ${state}`;
    return `${what}: ${reasons.join(', ')}`;
  });
  return [
    `# ${title} (${JSON.stringify(input.rules)}, ${input.timeZone}, now ${input.now.toISOString()})`,
    ...rows,
  ].join('\n');
}

describe('Retention', () => {
  it(`decides ${CASES.length} cases as the golden file says`, () => {
    const shown = `${CASES.map(show).join('\n\n')}\n`;
    if (process.env['STRATA_UPDATE_GOLDEN']) writeFileSync(GOLDEN, shown);
    expect(CASES.length).to.be.at.least(40);
    expect(shown).to.equal(readFileSync(GOLDEN, 'utf8'));
  });

  const rules = fc.record(
    {
      last: fc.nat(4),
      hourly: fc.nat(4),
      daily: fc.nat(4),
      weekly: fc.nat(3),
      monthly: fc.nat(3),
      yearly: fc.nat(2),
      withinMs: fc.nat(20 * 86_400_000),
    },
    { requiredKeys: [] },
  );
  const states = fc.constantFrom<PointFacts['state']>(
    'good',
    'good',
    'good',
    'damaged',
    'suspect',
    'incomplete',
  );
  const points = fc.array(fc.tuple(fc.nat(700 * 24 * 6), states), { maxLength: 60 });
  const zones = fc.constantFrom('UTC', 'Europe/Berlin', 'America/New_York', 'Pacific/Apia', 'Asia/Kolkata');
  const inputs = fc.record({ rules, points, zone: zones }).map(
    (raw): RetentionInput => ({
      rules: raw.rules,
      points: raw.points.map(([tenMinutes, state], index) => ({
        id: `rp_${String(index).padStart(3, '0')}`,
        createdAt: new Date(Date.UTC(2026, 0, 1) + tenMinutes * 600_000),
        state,
        protectedUntil: null,
      })),
      timeZone: raw.zone,
      now: new Date(Date.UTC(2028, 0, 1)),
      immutableDays: 0,
    }),
  );

  it('is stable: what it has kept it keeps again, whatever the rules', () => {
    fc.assert(
      fc.property(inputs, (input) => {
        const kept = new Set(
          decideRetention(input)
            .filter(({ keep }) => keep)
            .map(({ id }) => id),
        );
        const left = input.points.filter(({ id }) => kept.has(id));
        expect(decideRetention({ ...input, points: left }).every(({ keep }) => keep)).to.equal(true);
      }),
    );
  });

  it('keeps the newest good point, and no good one goes because bad ones came', () => {
    fc.assert(
      fc.property(inputs, (input) => {
        const good = input.points.filter(({ state }) => state === 'good');
        const kept = (from: RetentionInput) =>
          decideRetention(from)
            .filter(({ keep, state }) => keep && state === 'good')
            .map(({ id }) => id);
        expect(kept(input)).to.deep.equal(kept({ ...input, points: good }));
        expect(kept(input).length > 0).to.equal(good.length > 0);
      }),
    );
  });

  it('keeps no more good points than the rules allow', () => {
    fc.assert(
      fc.property(inputs, (input) => {
        const { withinMs = 0, ...counts } = input.rules;
        const most = Object.values(counts).reduce((sum, count) => sum + count, 0);
        if (withinMs > 0 || most === 0) return;
        const kept = decideRetention(input).filter(({ keep, state }) => keep && state === 'good');
        expect(kept.length).to.be.at.most(Math.max(most, 1));
      }),
    );
  });
});
