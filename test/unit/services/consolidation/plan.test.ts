import { expect } from 'chai';
import type { PlannedLayer, PlanStep } from '../../../../src/services/consolidation/facts.js';
import { planMerges } from '../../../../src/services/consolidation/plan.js';
import { aLayer } from '../../../helpers/layer.js';

type Shape = Partial<PlannedLayer> & { on?: string };

/** `{ f: {}, i1: { on: 'f' } }`: layers in the order of their places; what stands on nothing is a full. */
function chain(shapes: Record<string, Shape>): PlannedLayer[] {
  return Object.entries(shapes).map(([id, { on, strangers, ...over }], index) => ({
    ...aLayer(id, { seq: index + 1, parentId: on ?? null, ...over }),
    ...(strangers === undefined ? {} : { strangers }),
  }));
}

const line = (step: PlanStep) =>
  step.action === 'remove'
    ? `remove ${step.backup_id} (${step.reason})`
    : `merge ${step.removes.join('+')} into ${step.backup_id} onto ${step.onto ?? 'nothing'}`;

function plan(layers: PlannedLayer[], ...keep: string[]): string[] {
  const { steps, refused } = planMerges(layers, new Set(keep));
  return [...steps.map(line), ...refused.map(({ backup_id, reason }) => `leave ${backup_id} (${reason})`)];
}

const LINEAR = { f: {}, i1: { on: 'f' }, i2: { on: 'i1' }, i3: { on: 'i2' }, i4: { on: 'i3' } };

describe('planMerges', () => {
  it('does nothing where everything is kept', () => {
    expect(plan(chain(LINEAR), 'f', 'i1', 'i2', 'i3', 'i4')).to.deep.equal([]);
  });

  it('removes tips with their files, the newest first', () => {
    expect(plan(chain(LINEAR), 'f', 'i1', 'i2')).to.deep.equal([
      'remove i4 (not_kept)',
      'remove i3 (not_kept)',
    ]);
  });

  it('merges the middle away, onto what is kept below', () => {
    expect(plan(chain(LINEAR), 'f', 'i3', 'i4')).to.deep.equal(['merge i2+i1 into i3 onto f']);
  });

  it('merges a full upward, and several runs from the bottom to the top', () => {
    expect(plan(chain(LINEAR), 'i2', 'i4')).to.deep.equal([
      'merge i1+f into i2 onto nothing',
      'merge i3 into i4 onto i2',
    ]);
  });

  it('does not promise the room of a full that goes into an increment: only what both may hold comes free', () => {
    const layers = chain({ f: { sizeBytes: 6000 }, i1: { on: 'f', sizeBytes: 200 }, i2: { on: 'i1' } });
    expect(planMerges(layers, new Set(['i2'])).steps.map(({ bytes }) => bytes)).to.eql([300]);
    expect(planMerges(layers, new Set(['f', 'i2'])).steps.map(({ bytes }) => bytes)).to.eql([100]);
    expect(planMerges(layers, new Set(['i1'])).steps.map(({ bytes }) => bytes)).to.eql([100, 200]);
  });

  it('removes a whole segment, and one that nothing kept stands on', () => {
    const layers = chain({ ...LINEAR, g: {}, j1: { on: 'g' } });
    expect(plan(layers, 'g', 'j1')).to.deep.equal(
      ['i4', 'i3', 'i2', 'i1', 'f'].map((id) => `remove ${id} (not_kept)`),
    );
  });

  it('never merges a full into one of several that stand on it', () => {
    const layers = chain({ f: {}, i1: { on: 'f' }, d: { on: 'f', type: 'differential' } });
    expect(plan(layers, 'i1', 'd')).to.deep.equal(['leave f (fan_out)']);
    expect(plan(layers, 'd')).to.deep.equal(['remove i1 (not_kept)', 'merge f into d onto nothing']);
  });

  it('takes a full with several upon it for kept where the run above it is merged', () => {
    const layers = chain({ f: {}, i1: { on: 'f' }, i2: { on: 'i1' }, d: { on: 'f' } });
    expect(plan(layers, 'i2', 'd')).to.deep.equal(['merge i1 into i2 onto f', 'leave f (fan_out)']);
  });

  it('leaves what is protected or being restored, and merges around it', () => {
    const layers = chain({ ...LINEAR, i1: { on: 'f', protected: true }, i3: { on: 'i2', inUse: true } });
    expect(plan(layers, 'i4')).to.deep.equal([
      'merge f into i1 onto nothing',
      'merge i2 into i3 onto i1',
      'leave i1 (protected)',
      'leave i3 (in_use)',
    ]);
  });

  it('merges nothing where the run, its top or what lies below is not healthy', () => {
    for (const over of [
      { health: 'damaged' },
      { health: 'suspect' },
      { contentWrongAt: new Date() },
    ] as const) {
      expect(plan(chain({ ...LINEAR, f: over }), 'f', 'i2', 'i3', 'i4')).to.deep.equal([
        'leave i1 (damaged)',
      ]);
      expect(plan(chain({ ...LINEAR, i1: { on: 'f', ...over } }), 'f', 'i2', 'i3', 'i4')).to.deep.equal([
        'leave i1 (damaged)',
      ]);
      expect(plan(chain({ ...LINEAR, i2: { on: 'i1', ...over } }), 'f', 'i2', 'i3', 'i4')).to.deep.equal([
        'leave i1 (damaged)',
      ]);
    }
  });

  it('removes a damaged tip', () => {
    expect(
      plan(chain({ ...LINEAR, i4: { on: 'i3', health: 'damaged' } }), 'f', 'i1', 'i2', 'i3'),
    ).to.deep.equal(['remove i4 (not_kept)']);
  });

  it('touches nothing on which an image stands that the catalogue does not know', () => {
    const layers = chain({ ...LINEAR, i4: { on: 'i3', strangers: 1 } });
    expect(plan(layers, 'f', 'i1', 'i2')).to.deep.equal(['merge i3 into i4 onto i2', 'leave i4 (stranger)']);
  });

  it('goes on with what an earlier job has begun: expired layers are never kept', () => {
    const expired = { expired: true };
    const layers = chain({
      ...LINEAR,
      f: expired,
      i1: { on: 'f', ...expired },
      i4: { on: 'i3', ...expired },
    });
    expect(plan(layers, 'f', 'i1', 'i2', 'i3', 'i4')).to.deep.equal([
      'remove i4 (expired)',
      'merge i1+f into i2 onto nothing',
    ]);
  });

  it('gives the same plan for what is left after any of its steps', () => {
    const layers = chain(LINEAR);
    const keep = ['i2', 'i4'];
    const [, ...rest] = plan(layers, ...keep);
    const after = chain({ i2: {}, i3: { on: 'i2', expired: true }, i4: { on: 'i3' } });
    expect(plan(after, ...keep)).to.deep.equal(rest);
  });
});
