import { expect } from 'chai';
import fc from 'fast-check';
import {
  type BackupFacts,
  type ChainFacts,
  FINDINGS,
  judge,
} from '../../../../src/services/validation/index.js';
import { chainFacts } from './facts.js';

const codesOf = (facts: ChainFacts): string[] => judge(facts).findings.map(({ code }) => code);
const healthOf = (facts: ChainFacts): string =>
  judge(facts)
    .backups.map(({ health }) => health)
    .join(' ');

/** The facts with those of one backup changed. */
function but(facts: ChainFacts, number: number, change: Partial<BackupFacts>): ChainFacts {
  return {
    ...facts,
    backups: facts.backups.map((one, i) => (i === number - 1 ? { ...one, ...change } : one)),
  };
}

describe('the judgement of a chain', () => {
  it('finds nothing where all facts agree', () => {
    expect(judge(chainFacts(3))).to.deep.equal({
      level: 'quick',
      healthy: true,
      checked_files: 3,
      findings: [],
      affected: [],
      backups: [1, 2, 3].map((n) => ({
        backup_id: `b${n}`,
        health: 'ok',
        located: false,
        proved_at: null,
        damaged: [],
        unreadable: [],
        affected: [],
        affected_unreadable: [],
      })),
      carriers: [],
      chain_health: 'ok',
      next_steps: [],
    });
  });

  it('tells by the change time of a file that it was touched after it was published, or proved', () => {
    const touchedAt = (ctimeMs: number, provedAt: Date | null) => {
      const [one] = chainFacts(1).backups;
      if (one?.file.state !== 'present') throw new Error('The fixture has a file.');
      const proof = { ...one.proof, provedAt };
      return codesOf(but(chainFacts(1), 1, { file: { ...one.file, ctimeMs }, proof }));
    };
    expect(touchedAt(60_001, null)).to.deep.equal([]);
    expect(touchedAt(60_002, null)).to.deep.equal(['file_touched']);
    expect(touchedAt(90_000, new Date(90_000))).to.deep.equal([]);
    expect(touchedAt(90_001, new Date(90_000))).to.deep.equal(['file_touched']);
    const noManifest = but(chainFacts(1), 1, { manifestCtimeMs: null });
    expect(codesOf(noManifest)).to.deep.equal([]);
  });

  it('is the same for the same facts, and never changes them', () => {
    const facts = but(chainFacts(3), 2, { file: { state: 'missing' } });
    const copy = structuredClone(facts);
    expect(judge(facts)).to.deep.equal(judge(facts));
    expect(facts).to.deep.equal(copy);
  });

  it('calls what cannot be read suspect at most, whatever else is not known of it', () => {
    const facts = but(chainFacts(3), 2, {
      file: { state: 'unreadable', reason: 'EIO' },
      header: { state: 'unknown', reason: 'EIO' },
      check: { state: 'skipped' },
      manifest: { state: 'unreadable', reason: 'EIO' },
      digests: { state: 'unreadable', reason: 'EIO' },
    });
    expect(codesOf(facts)).to.deep.equal(['unreadable', 'sidecar_unreadable', 'sidecar_unreadable']);
    expect(healthOf(facts)).to.equal('ok suspect suspect');
  });

  it('names a header that cannot be read only where the check itself went through', () => {
    const header: BackupFacts['header'] = { state: 'unknown', reason: 'busy' };
    expect(codesOf(but(chainFacts(2), 2, { header }))).to.deep.equal(['unreadable']);
    expect(
      codesOf(but(chainFacts(2), 2, { header, check: { state: 'corrupt', reason: 'no' } })),
    ).to.deep.equal(['image_corrupt']);
  });

  it('reports a content id that the indexes do not give', () => {
    const facts = but(chainFacts(2), 2, { content: { state: 'computed', id: 'other' } });
    expect(codesOf(facts)).to.deep.equal(['content_id_mismatch']);
    expect(healthOf(facts)).to.equal('ok suspect');
  });

  it('reports rows that do not lead to a full, and ends on rows that go round', () => {
    const facts = chainFacts(3);
    const round = facts.backups.map((one, i) =>
      i === 0 ? { ...one, row: { ...one.row, parentId: 'b3' } } : one,
    );
    const report = judge({ ...facts, backups: round });
    expect(report.findings.filter(({ code }) => code === 'lineage_broken')).to.have.length(3);
    expect(codesOf({ ...facts, backups: facts.backups.slice(1) })).to.include('lineage_broken');
  });

  it('tells files of dead fences from those of nobody, and never from ones of a newer fence', () => {
    const facts = chainFacts(1);
    const names = [...(facts.names ?? []), '.a.qcow2.8.partial', '.a.qcow2.9.partial', 'x'];
    expect(codesOf({ ...facts, names })).to.deep.equal(['stale_partial', 'unknown_file', 'unknown_file']);
  });

  it('names the backup of a file whose row is not completed', () => {
    const facts = chainFacts(1);
    const otherRows = [{ id: 'b9', status: 'failed' as const, path: 'vm/disk-0/late.qcow2' }];
    const { findings } = judge({ ...facts, names: [...(facts.names ?? []), 'late.json'], otherRows });
    expect(findings).to.have.length(1);
    expect(findings[0]).to.include({ code: 'unknown_file', backup_id: 'b9', file: 'vm/disk-0/late.json' });
  });

  it('calls a backup bad exactly when its own file or one below it is', () => {
    const verdicts = fc.array(fc.constantFrom('ok', 'missing', 'unreadable'), { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(verdicts, (states) => {
        let facts = chainFacts(states.length);
        for (const [i, state] of states.entries()) {
          if (state === 'missing') facts = but(facts, i + 1, { file: { state } });
          if (state === 'unreadable') facts = but(facts, i + 1, { file: { state, reason: 'EIO' } });
        }
        const own = states.map((state) => ({ ok: 'ok', missing: 'damaged', unreadable: 'suspect' })[state]);
        const expected = own.map((health, i) =>
          health === 'ok' && own.slice(0, i).some((h) => h !== 'ok') ? 'suspect' : health,
        );
        expect(healthOf(facts)).to.equal(expected.join(' '));
      }),
    );
  });
});

describe('the codes of findings', () => {
  it('are errors where they speak against a file', () => {
    for (const [code, { severity, verdict }] of Object.entries(FINDINGS)) {
      if (verdict !== 'ok') expect(severity, code).to.equal('error');
    }
  });
});
