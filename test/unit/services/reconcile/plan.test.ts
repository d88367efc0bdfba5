import { expect } from 'chai';
import { planReconcile } from '../../../../src/services/reconcile/index.js';
import { facts, file, GRACE, lines, manifest, NOW, whole, withBackups } from './facts.js';

const busy = { id: 'c', busy: true, fence: 9 };

describe('The plan of a reconciliation: rows', () => {
  it('is empty where catalogue and files agree', () => {
    expect(lines(facts(3))).to.deep.equal([]);
    expect(planReconcile([], { nowMs: NOW, graceMs: GRACE })).to.deep.equal([]);
  });

  it('marks a backup whose image is certainly gone, and calls in question what stands on it', () => {
    expect(lines(withBackups(facts(4), { 2: { image: 'missing' } }))).to.deep.equal([
      'mark_damaged image_missing b2.qcow2 (b2)',
      'mark_suspect stands_on_missing b3.qcow2 (b3)',
      'mark_suspect stands_on_missing b4.qcow2 (b4)',
    ]);
  });

  it('leaves backups of another segment alone', () => {
    const two = withBackups(facts(3), { 1: { image: 'missing' }, 2: { parentId: null } });
    expect(lines(two)).to.deep.equal(['mark_damaged image_missing b1.qcow2 (b1)']);
  });

  it('changes nothing that is marked already, and never for the better', () => {
    const marked = withBackups(facts(3), {
      1: { image: 'missing', health: 'damaged' },
      2: { health: 'suspect' },
      3: { health: 'damaged' },
    });
    expect(lines(marked)).to.deep.equal([]);
  });

  it('does not call damaged what may only be out of sight with its directory', () => {
    const gone = withBackups(facts(2, { exists: false }), {
      1: { image: 'missing' },
      2: { image: 'missing', health: 'damaged' },
    });
    expect(lines(gone)).to.deep.equal(['mark_suspect directory_missing b1.qcow2 (b1)']);
  });

  it('marks nothing while a job works on the chain', () => {
    const missing = withBackups(facts(1, { chain: busy }), { 1: { image: 'missing' } });
    expect(lines(missing)).to.deep.equal(['leave chain_busy b1.qcow2 (b1)']);
  });
});

describe('The plan of a reconciliation: files', () => {
  it('sets aside what no backup has: images with their sidecars, and strays', () => {
    const unknown = [
      file('notes.txt'),
      file('x.json', { manifest: { state: 'invalid' } }),
      file('a.digests'),
      file('a.qcow2'),
    ];
    expect(lines(facts(1, { unknown }))).to.deep.equal([
      'quarantine unknown_file a.qcow2',
      'quarantine unknown_file a.digests',
      'quarantine unknown_file notes.txt',
      'quarantine manifest_invalid x.json',
    ]);
  });

  it('waits for the grace period, and keeps files of one backup together', () => {
    const unknown = [
      file('a.qcow2'),
      file('a.digests', { mtimeMs: NOW - GRACE + 1 }),
      file('b.qcow2', { mtimeMs: NOW + 1 }),
    ];
    expect(lines(facts(1, { unknown }))).to.deep.equal([
      'leave young a.qcow2',
      'leave young a.digests',
      'leave young b.qcow2',
    ]);
  });

  it('touches nothing while a job works on the chain, without a chain, or that is no regular file', () => {
    const unknown = [file('a.qcow2')];
    expect(lines(facts(0, { unknown, chain: busy }))).to.deep.equal(['leave chain_busy a.qcow2']);
    expect(lines(facts(0, { unknown, chain: undefined }))).to.deep.equal(['leave no_chain a.qcow2']);
    const odd = [file('a.qcow2', { regular: false })];
    expect(lines(facts(0, { unknown: odd }))).to.deep.equal(['leave not_a_regular_file a.qcow2']);
  });

  it('sets aside partial files of dead fences only', () => {
    const unknown = [8, 9, 10].map((fence) => file(`.a.qcow2.${fence}.partial`));
    expect(lines(facts(1, { unknown }))).to.deep.equal([
      'leave live_partial .a.qcow2.10.partial',
      'quarantine dead_partial .a.qcow2.8.partial',
      'leave live_partial .a.qcow2.9.partial',
    ]);
    const young = [file('.a.qcow2.8.partial', { mtimeMs: NOW })];
    expect(lines(facts(1, { unknown: young }))).to.deep.equal(['leave young .a.qcow2.8.partial']);
    const nobody = { unknown: unknown.slice(0, 1), chain: undefined };
    expect(lines(facts(0, nobody))).to.deep.equal(['leave no_chain .a.qcow2.8.partial']);
  });

  it('leaves the files of an open job to its next attempt', () => {
    for (const row of ['queued', 'released', 'running'] as const) {
      expect(lines(facts(1, { unknown: whole('a', row) }))).to.deep.equal([
        'finish of_open_job a.qcow2 (bkp_a)',
        'finish of_open_job a.digests (bkp_a)',
        'finish of_open_job a.json (bkp_a)',
      ]);
    }
    expect(lines(facts(1, { unknown: [manifest('a', 'running')] }))).to.deep.equal([
      'leave of_open_job a.json (bkp_a)',
    ]);
    const sidecar = { unknown: [file('a.digests')], openNames: ['a.qcow2', 'a.digests', 'a.json'] };
    expect(lines(facts(1, sidecar))).to.deep.equal(['leave of_open_job a.digests']);
  });

  it('reports a whole backup that the catalogue does not know, and keeps what it stands on', () => {
    const unknown = [file('base.qcow2'), ...whole('a', 'unknown', { parent_file: 'base.qcow2' })];
    expect(lines(facts(0, { unknown }))).to.deep.equal([
      'adopt unknown_backup a.qcow2 (bkp_a)',
      'adopt unknown_backup a.digests (bkp_a)',
      'adopt unknown_backup a.json (bkp_a)',
      'leave needed base.qcow2',
    ]);
    expect(lines(facts(0, { unknown: whole('a', 'unknown'), chain: undefined }))[0]).to.equal(
      'adopt unknown_backup a.qcow2 (bkp_a)',
    );
  });

  it('does not take sidecars without an image for a backup', () => {
    expect(lines(facts(1, { unknown: [manifest('a', 'unknown')] }))).to.deep.equal([
      'quarantine manifest_without_image a.json (bkp_a)',
    ]);
  });

  it('sets aside what an ended job has left, a copy of a known backup, and what belongs elsewhere', () => {
    const one = (unknown: ReturnType<typeof whole>) => lines(facts(1, { unknown }))[0];
    expect(one(whole('a', 'failed'))).to.equal('quarantine of_ended_job a.qcow2 (bkp_a)');
    expect(one(whole('a', 'cancelled'))).to.equal('quarantine of_ended_job a.qcow2 (bkp_a)');
    expect(one(whole('a', 'completed', { backup_id: 'b1' }))).to.equal(
      'quarantine copy_of_known a.qcow2 (b1)',
    );
    expect(one(whole('a', 'completed'))).to.equal('quarantine copy_of_known a.qcow2 (bkp_a)');
    expect(one(whole('a', 'unknown', { belongs: false }))).to.equal(
      'quarantine manifest_foreign a.qcow2 (bkp_a)',
    );
    expect(one(whole('a', 'expired'))).to.equal('leave expired a.qcow2 (bkp_a)');
  });

  it('keeps what may be the only copy of a backup whose own file is gone', () => {
    const unknown = whole('renamed', 'completed', { backup_id: 'b1' });
    expect(lines(withBackups(facts(1, { unknown }), { 1: { image: 'missing' } }))).to.deep.equal([
      'mark_damaged image_missing b1.qcow2 (b1)',
      'leave only_copy renamed.qcow2 (b1)',
      'leave only_copy renamed.digests (b1)',
      'leave only_copy renamed.json (b1)',
    ]);
  });
});
