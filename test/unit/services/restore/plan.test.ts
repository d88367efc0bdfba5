import { expect } from 'chai';
import {
  checkRestorable,
  planRestore,
  type RestorableFacts,
  type TargetFacts,
} from '../../../../src/services/restore/index.js';
import { partialName, partialsOf } from '../../../../src/services/restore/plan.js';
import { recognise } from '../../../../src/services/restore/publish.js';
import { codeOf } from '../../../helpers/codeOf.js';

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
    expect(await refusal(() => checkRestorable(good))).to.equal('no error');
    for (const status of ['queued', 'running', 'failed', 'cancelled', 'expired'] as const) {
      expect(await refusal(() => checkRestorable({ ...good, status }))).to.equal('wrong_state');
    }
    for (const health of ['suspect', 'damaged'] as const) {
      const layers = [
        { id: 'b2', health: 'ok' as const },
        { id: 'b1', health },
      ];
      expect(await refusal(() => checkRestorable({ ...good, layers }))).to.equal('backup_damaged');
    }
    expect(await refusal(() => checkRestorable({ ...good, broken: 'no full' }))).to.equal('backup_damaged');
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
    expect(partialsOf('rst_1', [...own, ...others])).to.deep.equal(own);
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
