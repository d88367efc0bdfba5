import { expect } from 'chai';
import type { Health } from '../../../../src/entities/index.js';
import {
  checkRestorable,
  planRestore,
  type RestorableFacts,
  type TargetFacts,
} from '../../../../src/services/restore/index.js';
import { partialName, partialsOf } from '../../../../src/services/restore/plan.js';
import { recognise } from '../../../../src/services/restore/publish.js';
import { codeOf } from '../../../helpers/codeOf.js';

/** The wish of a restore that allows no damage. */
const wish = (verify: boolean) => ({ verify, allowDamaged: false });

const refusal = (work: () => unknown): Promise<string> => codeOf(Promise.resolve().then(work));

describe('the plan of a restore', () => {
  const good: RestorableFacts = {
    id: 'b2',
    status: 'completed',
    layers: [
      { id: 'b2', health: 'ok' },
      { id: 'b1', health: 'ok' },
    ],
    broken: undefined,
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
      layers: [
        { id: 'b2', health: top },
        { id: 'b1', health: below },
      ],
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
    const damaged: RestorableFacts = { ...good, layers: [{ id: 'b2', health: 'damaged' }] };
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
    const below = { id: 'b1', health: 'damaged', damageLocated: true } as const;
    const on = (health: Health) => ({
      ...good,
      layers: [{ id: 'b2', health, damageLocated: health !== 'ok' }, below],
    });
    expect(await refusal(() => checkRestorable(on('ok'), wish(false)))).to.equal('no error');
    expect(await refusal(() => checkRestorable(on('damaged'), wish(true)))).to.equal('backup_damaged');
    const itself = { id: 'b1', status: 'completed', layers: [below], broken: undefined } as const;
    expect(await refusal(() => checkRestorable(itself, wish(true)))).to.equal('backup_damaged');
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
