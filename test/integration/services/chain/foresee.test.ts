import { expect } from 'chai';
import fc from 'fast-check';
import { inTransaction } from '../../../../src/db/transaction.js';
import { predictDemotion } from '../../../../src/producers/accept/backup.js';
import { loadContext, planJob } from '../../../../src/services/backup/context.js';
import { changeIdBelow } from '../../../../src/services/chain/index.js';
import { lookUpPlace } from '../../../../src/services/job/openPlace.js';
import { isStrataError } from '../../../../src/shared/errors.js';
import { type DatabaseSuite, openDatabaseSuite } from '../../../helpers/openSuite.js';
import { insertRows, lookAndHeal, requestOf, writeRequest, writeState } from './stateRows.js';
import { anyState, type ChainState, HEALTHS, JOB, LAYERS, PLAIN, sourceOf } from './states.js';

const RUNS = 300;

describe("What is said of a chain's next backup", () => {
  let suite: DatabaseSuite;
  before(async () => {
    suite = await openDatabaseSuite();
    await insertRows(suite.ds);
  });
  after(() => suite.close());

  const outcome = async (work: () => Promise<{ type: string; reason: string | null }>): Promise<string> => {
    try {
      const { type, reason } = await work();
      return `${type} ${reason ?? ''}`.trim();
    } catch (error) {
      if (isStrataError(error)) return `refused: ${error.code}`;
      throw error;
    }
  };

  /** What the answer to the request says. */
  const answerTo = ({ request, ...state }: ChainState) =>
    outcome(async () => {
      const body = {
        vm_name: 'vm',
        repository_id: 'repo',
        backup_type: request.type,
        on_broken_chain: request.onBrokenChain,
        ...(request.fullEvery === undefined ? {} : { full_every: request.fullEvery }),
        ...(request.fullAfterDays === undefined ? {} : { full_after_days: request.fullAfterDays }),
      };
      const disk = {
        diskId: 0,
        chainId: 'chn',
        source: sourceOf({ request, ...state }),
        virtualSize: request.size,
        changeId: null,
        sinceChangeId: request.since,
        extents: null,
        extentsFollow: request.tracker === 'extents',
      };
      const answer = await inTransaction(suite.ds, (tx) =>
        predictDemotion(
          tx,
          { body, disk, request: requestOf({ request, ...state }), restorePointId: 'rp' },
          false,
        ),
      );
      return { type: answer.backup_type, reason: answer.demoted_reason };
    });

  const below = ({ request, shape, layers }: ChainState) => {
    if (shape !== 'sound') return undefined;
    if (request.type !== 'differential') return layers.i3;
    return layers.f.expired ? undefined : layers.f;
  };

  const plan = async (state: ChainState) => {
    await writeRequest(suite.ds, state);
    const virtualSize = state.request.size ?? below(state)?.size ?? 0;
    // As `noteSeenSize` counts it.
    const sizeChanges =
      state.sizeChanges + (state.seenSize !== null && state.seenSize !== virtualSize ? 1 : 0);
    const counted = state.request.tracker === 'push' ? null : sizeChanges;
    const lease = { jobId: JOB, chainId: 'chn', repositoryId: 'repo' };
    const place = await lookUpPlace(suite.ds, lease, 'backup');
    return planJob(await loadContext(suite.ds, place), {
      virtualSize,
      bitmapMissing: false,
      sizeChanges: counted,
    });
  };

  const workerOn = (state: ChainState) =>
    outcome(async () => {
      const { type, demotedReason: reason } = await plan(state);
      return { type, reason };
    });

  /** The answer first, then the worker, who begins by looking again and healing. */
  const compare = async (state: ChainState): Promise<string> => {
    await writeState(suite.ds, state);
    const said = await answerTo(state);
    await lookAndHeal(suite.ds, state);
    expect(said, JSON.stringify(state)).to.equal(await workerOn(state));
    return said;
  };

  const compareChangeId = async (state: ChainState): Promise<string | undefined> => {
    const type = state.request.type === 'differential' ? 'differential' : 'incremental';
    const parent = below({ ...state, request: { ...state.request, type } });
    const tracker = state.request.tracker === 'push' ? 'push' : 'extents';
    const request = { ...PLAIN.request, type, tracker } as const;
    await writeState(suite.ds, { ...state, request });
    const named = { repositoryId: 'repo', vmName: 'vm', upstreamId: '', diskId: 0 };
    const told = await changeIdBelow(suite.ds, named, type);
    await lookAndHeal(suite.ds, { ...state, request });
    const asked = { ...request, since: parent?.changeId ?? 'none', size: parent?.size ?? 512 };
    const { parent: on } = await plan({ ...state, request: asked });
    const wanted = on && { backupId: on.id, changeId: on.changeId };
    expect(told ?? null, JSON.stringify(state)).to.deep.equal(wanted);
    return told?.backupId;
  };

  const withLayer = (
    name: (typeof LAYERS)[number],
    over: Partial<ChainState['layers']['f']>,
  ): ChainState => ({
    ...PLAIN,
    layers: { ...PLAIN.layers, [name]: { ...PLAIN.layers[name], ...over } },
  });

  it('is what the worker does, for each health of each layer, restore point or carrier, and each type', async () => {
    const answers = new Set<string>();
    for (const name of LAYERS)
      for (const health of HEALTHS)
        for (const expired of name === 'i3' ? [false] : [false, true])
          for (const type of ['incremental', 'differential'] as const)
            for (const tracker of ['none', 'push'] as const) {
              const state = withLayer(name, { ...health, expired });
              const since = type === 'differential' ? 'cf' : 'c3';
              const request = { ...PLAIN.request, type, tracker, since, size: 1024 };
              answers.add(await compare({ ...state, request }));
              await compareChangeId({ ...state, request });
            }
    expect([...answers].sort()).to.deep.equal([
      'differential',
      'full no_completed_full',
      'full parent_damaged',
      'full parent_suspect',
      'incremental',
    ]);
  });

  it(`is what the worker does, in ${RUNS} states that are drawn from all`, async () => {
    await fc.assert(
      fc.asyncProperty(anyState, async (state) => {
        await compare(state);
        await compareChangeId(state);
      }),
      { numRuns: RUNS, interruptAfterTimeLimit: 45_000 },
    );
  });

  it('is no change id while anything damaged carries the latest backup, be it expired or read wrong by a restore', async () => {
    expect(await compareChangeId(PLAIN)).to.equal('i3');
    for (const name of ['f', 'i1'] as const)
      for (const bad of [{ health: 'damaged' }, { contentWrong: true }] as const)
        for (const expired of [false, true]) {
          const state = withLayer(name, { ...bad, expired });
          expect(await compareChangeId(state), `${name} ${JSON.stringify(bad)}`).to.equal(undefined);
          expect(await compare(state)).to.equal('full parent_damaged');
        }
  });

  it('takes what is suspected to pass when it is looked at again, and located damage to be healed', async () => {
    for (const over of [
      { health: 'suspect' },
      { health: 'damaged', located: true, hasRanges: true },
    ] as const) {
      expect(await compare(withLayer('i1', over))).to.equal('incremental');
      expect(await compareChangeId(withLayer('i1', over))).to.equal('i3');
    }
    const carrier = withLayer('i2', { health: 'damaged', located: true });
    carrier.layers.i1 = { ...carrier.layers.i1, expired: true, hasRanges: true };
    expect(await compare(carrier), 'the file of an expired backup is not healed').to.equal(
      'full parent_damaged',
    );
    const pushed = {
      ...withLayer('i1', { health: 'damaged', located: true }),
      request: { ...PLAIN.request },
    };
    pushed.request = { ...pushed.request, tracker: 'push', since: 'c3', size: 1024 };
    expect(await compare(pushed), 'nothing can be read from a pushed disk').to.equal('full parent_damaged');
  });

  it('is a full where the parents of the latest backup go in a circle or lead to none, and no change id', async () => {
    for (const shape of ['circle', 'gap'] as const) {
      expect(await compare({ ...PLAIN, shape })).to.equal('full parent_unreadable');
      const strict = { ...PLAIN, shape, request: { ...PLAIN.request, onBrokenChain: 'fail' as const } };
      expect(await compare(strict)).to.equal('refused: chain_broken');
      expect(await compareChangeId({ ...PLAIN, shape })).to.equal(undefined);
    }
  });
});
