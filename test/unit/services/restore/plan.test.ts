import { expect } from 'chai';
import type { DamageReach, Health } from '../../../../src/entities/index.js';
import { checkRestorable, planRestore, type RestorableFacts } from '../../../../src/services/restore/plan.js';
import type { TargetFacts } from '../../../../src/services/restore/target.js';
import { partialName, partialsOf } from '../../../../src/services/restore/plan.js';
import { recognise } from '../../../../src/services/restore/publish.js';
import { isStrataError } from '../../../../src/shared/errors.js';
import type { KnownDamage } from '../../../../src/shared/knownDamage.js';
import { codeOf } from '../../../helpers/codeOf.js';
import { aLayer } from '../../../helpers/layer.js';

/** The wish of a restore that allows no damage. */
const wish = (verify: boolean) => ({ verify, allowDamaged: false });

type StoredReach = DamageReach['wrong'][number];

const refusal = (work: () => unknown): Promise<string> => codeOf(Promise.resolve().then(work));

describe('the plan of a restore', () => {
  const good: RestorableFacts = {
    id: 'b2',
    status: 'completed',
    layers: [aLayer('b2'), aLayer('b1')],
    broken: undefined,
    reach: null,
  };

  it('is made for a completed backup that stands on healthy ones', async () => {
    expect(await refusal(() => checkRestorable(good, wish(false)))).to.equal('no error');
    for (const status of ['queued', 'running', 'failed', 'cancelled', 'expired'] as const) {
      expect(await refusal(() => checkRestorable({ ...good, status }, wish(true)))).to.equal('wrong_state');
    }
    expect(await refusal(() => checkRestorable({ ...good, broken: 'no full' }, wish(true)))).to.equal(
      'backup_damaged',
    );
  });

  it('is made for a suspect lineage only where the content id will prove it, and never for a damaged one', async () => {
    const on = (top: Health, below: Health) => ({
      ...good,
      layers: [aLayer('b2', { health: top }), aLayer('b1', { health: below })],
    });
    for (const facts of [on('ok', 'suspect'), on('suspect', 'ok'), on('suspect', 'suspect')]) {
      expect(await refusal(() => checkRestorable(facts, wish(true)))).to.equal('no error');
      expect(await refusal(() => checkRestorable(facts, wish(false)))).to.equal('backup_damaged');
    }
    for (const facts of [on('ok', 'damaged'), on('suspect', 'damaged'), on('damaged', 'suspect')]) {
      for (const verify of [true, false]) {
        expect(await refusal(() => checkRestorable(facts, wish(verify)))).to.equal('backup_damaged');
      }
    }
  });

  it('is made for anything that leads to a full where damage is allowed, and then only to be read back', async () => {
    const damaged: RestorableFacts = { ...good, layers: [aLayer('b2', { health: 'damaged' })] };
    const allowed = { verify: true, allowDamaged: true };
    expect(await refusal(() => checkRestorable(damaged, allowed))).to.equal('no error');
    expect(await refusal(() => checkRestorable(damaged, { ...allowed, verify: false }))).to.equal(
      'invalid_request',
    );
    expect(await refusal(() => checkRestorable({ ...damaged, broken: 'no full' }, allowed))).to.equal(
      'backup_damaged',
    );
    expect(await refusal(() => checkRestorable({ ...damaged, status: 'expired' }, allowed))).to.equal(
      'wrong_state',
    );
  });

  it('is made for a point that has written over the damage below it, and not for one that the damage reaches', async () => {
    const below = aLayer('b1', { health: 'damaged', damageLocated: true });
    const on = (health: Health) => ({
      ...good,
      layers: [aLayer('b2', { health, damageLocated: health !== 'ok' }), below],
    });
    expect(await refusal(() => checkRestorable(on('ok'), wish(false)))).to.equal('no error');
    expect(await refusal(() => checkRestorable(on('damaged'), wish(true)))).to.equal('backup_damaged');
    const itself = { ...good, id: 'b1', layers: [below] };
    expect(await refusal(() => checkRestorable(itself, wish(true)))).to.equal('backup_damaged');
  });

  describe('that is refused', () => {
    const damaged = aLayer('b2', { health: 'damaged', damageLocated: true });
    const reason = (facts: Partial<RestorableFacts>) => {
      try {
        checkRestorable({ ...good, layers: [damaged], ...facts }, wish(true));
      } catch (error) {
        if (isStrataError(error))
          return { text: error.message, damage: error.details['damage'] as KnownDamage };
        throw error;
      }
      throw new Error('It was not refused.');
    };

    it('says in which ranges, the first ten of them, how many there are and how many bytes', () => {
      const wrong = Array.from({ length: 12 }, (_, i) => [i * 131_072, 65_536, 'b1'] as StoredReach);
      const refused = reason({ reach: { wrong, unproved: [[65_536, 512, 'b2']] } });
      expect(refused.text).to.match(
        /^Backup b2 is damaged: a restore of it is not right in 13 ranges of 786944 bytes \(0\+65536, 65536\+512, 131072\+65536, 262144\+65536, \.\.\.\); validate/,
      );
      expect(refused.damage).to.deep.include({ located: true, count: 13, bytes: 786_944 });
      const { ranges } = refused.damage;
      expect(ranges).to.have.length(10);
      expect(ranges.slice(0, 2)).to.deep.equal([
        { offset: 0, length: 65_536, in_backup: 'b1', unreadable: false },
        { offset: 65_536, length: 512, in_backup: 'b2', unreadable: true },
      ]);
    });

    it('does not say that these are all where a file is wrong as a whole, or there are too many to keep', () => {
      const reach = { wrong: [[0, 65_536, 'b2'] as StoredReach], unproved: [] };
      const whole = reason({ layers: [{ ...damaged, damageLocated: false }], reach });
      expect(whole.text).to.contain('in the range of 65536 bytes (0+65536), and perhaps elsewhere;');
      expect(whole.damage).to.deep.include({ located: false, count: 1 });
      const wrong = Array.from({ length: 4096 }, (_, i) => [i * 131_072, 65_536, 'b2'] as StoredReach);
      expect(reason({ reach: { wrong, unproved: [] } }).damage).to.deep.include({
        located: false,
        count: 4096,
      });
      const unknown = reason({});
      expect(unknown.text).to.contain('no deep validation has told in which ranges;');
      expect(unknown.damage).to.deep.equal({ located: false, count: 0, bytes: 0, ranges: [] });
    });
  });

  const free: TargetFacts = { kind: 'free', path: '/r/d.vmdk', parent: '/r', name: 'd.vmdk' };
  const job = { jobId: 'rst_1', fence: 7 };

  it('writes below a private directory beside the target, under the final name', () => {
    expect(planRestore({ ...job, format: 'vmdk', target: free })).to.deep.equal({
      kind: 'file',
      directory: '/r/.d.vmdk.rst_1.7.partial',
      temporary: '/r/.d.vmdk.rst_1.7.partial/d.vmdk',
      final: '/r/d.vmdk',
      parent: '/r',
      format: 'vmdk',
    });
  });

  it('takes an existing target only if it is a block device, and then only raw', async () => {
    const identity = { inode: '1', size: '2', mtime_ns: '3' };
    const taken: TargetFacts = { ...free, kind: 'taken', identity };
    expect(await refusal(() => planRestore({ ...job, format: 'raw', target: taken }))).to.equal(
      'file_exists',
    );
    const device: TargetFacts = { kind: 'device', path: '/dev/x' };
    expect(planRestore({ ...job, format: 'raw', target: device })).to.deep.equal({
      ...device,
      format: 'raw',
    });
    expect(await refusal(() => planRestore({ ...job, format: 'qcow2', target: device }))).to.equal(
      'invalid_request',
    );
  });

  it('gives a temporary name that fits a file system, whatever the length of the target', () => {
    const name = partialName(
      '\u{1f4be}'.repeat(60),
      'rst_01jd3k9v0x2m4n6p8q0r2s4t6v',
      Number.MAX_SAFE_INTEGER,
    );
    expect(Buffer.byteLength(name)).to.be.lessThan(256);
  });

  it("knows its own attempts' temporary names, and nobody else's", () => {
    const own = [partialName('a', 'rst_1', 1), partialName('a.b\n', 'rst_1', 22)];
    const others = [
      '.a.rst_2.1.partial',
      '.a.rst_1.x.partial',
      'a.rst_1.1.partial',
      '.a.rst_1.1.partial.raw',
      '.rst_1.1.partial',
    ];
    expect(partialsOf('rst_1', 22, [...own, ...others])).to.deep.equal(own);
  });

  it('leaves the directory of a newer attempt alone: one that was frozen wakes and clears up only what is older', () => {
    const name = (fence: number) => partialName('a', 'rst_1', fence);
    expect(partialsOf('rst_1', 9, [name(8), name(9), name(10), name(100)])).to.deep.equal([name(8), name(9)]);
  });

  it('recognises a file by all of its identity and its path', () => {
    const file = { inode: '1', size: '2', mtime_ns: '3' };
    const result = { path: '/r/d', format: 'raw' };
    const steps = [
      { step: 'publishing', fence: 1, state: 'begun' as const, data: { path: '/r/d', file, result } },
    ];
    expect(recognise(steps, '/r/d', file)).to.deep.equal(result);
    expect(recognise(steps, '/r/e', file)).to.equal(undefined);
    for (const key of Object.keys(file))
      expect(recognise(steps, '/r/d', { ...file, [key]: '9' })).to.equal(undefined);
    expect(recognise([], '/r/d', file)).to.equal(undefined);
  });
});
