// Every state of a chain that counts for its next backup, as rows: no file is looked at.
import fc from 'fast-check';
import type { Health, OnBrokenChain, RequestedType } from '../../../../src/entities/index.js';
import type { DiskSource } from '../../../../src/shared/sources.js';

export const NAMES = { repositoryId: 'repo', vmContextId: 'vm', chainId: 'chn' };
export const JOB = 'bkp_next';
export const POINT = 'rp';
export const POINT_AT = Date.parse('2026-06-01T00:00:00Z');
export const HOUR_MS = 3_600_000;
/** A full and three increments, one upon the other. */
export const LAYERS = ['f', 'i1', 'i2', 'i3'] as const;
export type LayerName = (typeof LAYERS)[number];

export interface LayerState {
  health: Health;
  located: boolean;
  contentWrong: boolean;
  /** Its own file has damaged ranges. */
  hasRanges: boolean;
  expired: boolean;
  changeId: string | null;
  size: number;
  sizeChanges: number | null;
}

export const SOUND: LayerState = {
  health: 'ok',
  located: false,
  contentWrong: false,
  hasRanges: false,
  expired: false,
  changeId: 'c',
  size: 1024,
  sizeChanges: 0,
};

/** What can be said about a layer's health. */
export const HEALTHS: Partial<LayerState>[] = (['ok', 'suspect', 'damaged'] as const).flatMap((health) =>
  [false, true].flatMap((contentWrong) =>
    (health === 'ok' ? [false] : [false, true]).map((located) => ({
      health,
      contentWrong,
      located,
      hasRanges: located,
    })),
  ),
);

export interface ChainState {
  /** `circle`: the lowest increment stands on the highest. `gap`: the full is not there any more. */
  shape: 'empty' | 'sound' | 'circle' | 'gap';
  layers: Record<LayerName, LayerState>;
  trackerDistrust: number;
  backupsSinceFull: number;
  fullAgeHours: number | null;
  seenSize: number | null;
  sizeChanges: number;
  request: {
    type: RequestedType;
    onBrokenChain: OnBrokenChain;
    tracker: 'none' | 'extents' | 'bitmap' | 'push';
    since: string | null;
    size: number | null;
    fullEvery: number | undefined;
    fullAfterDays: number | undefined;
  };
}

export const PLAIN: ChainState = {
  shape: 'sound',
  layers: {
    f: { ...SOUND, changeId: 'cf' },
    i1: { ...SOUND, changeId: 'c1' },
    i2: { ...SOUND, changeId: 'c2' },
    i3: { ...SOUND, changeId: 'c3' },
  },
  trackerDistrust: 0,
  backupsSinceFull: 3,
  fullAgeHours: 72,
  seenSize: 1024,
  sizeChanges: 0,
  request: {
    type: 'incremental',
    onBrokenChain: 'full',
    tracker: 'none',
    since: null,
    size: null,
    fullEvery: undefined,
    fullAfterDays: undefined,
  },
};

const sizes = fc.constantFrom(512, 1024, 2048);
const mostly = <T>(usual: T, ...others: T[]) =>
  fc.oneof(
    { weight: 4, arbitrary: fc.constant(usual) },
    { weight: 1, arbitrary: fc.constantFrom(...others) },
  );

function layer(name: LayerName): fc.Arbitrary<LayerState> {
  return fc
    .record({
      health: mostly<Partial<LayerState>>({}, ...HEALTHS),
      hasRanges: mostly(false, true),
      expired: name === 'i3' ? fc.constant(false) : mostly(false, true),
      changeId: mostly<string | null>(PLAIN.layers[name].changeId, null),
      size: mostly(1024, 512, 2048),
      sizeChanges: mostly<number | null>(0, 1, null),
    })
    .map(({ health, ...state }) => ({ ...SOUND, ...state, ...health }));
}

/** Any of the states. */
export const anyState: fc.Arbitrary<ChainState> = fc.record({
  shape: mostly<ChainState['shape']>('sound', 'empty', 'circle', 'gap'),
  layers: fc.record({ f: layer('f'), i1: layer('i1'), i2: layer('i2'), i3: layer('i3') }),
  trackerDistrust: mostly(0, 2),
  backupsSinceFull: fc.constantFrom(0, 3, 6),
  fullAgeHours: fc.constantFrom(null, 22, 23, 24, 72),
  seenSize: fc.oneof(fc.constant(null), sizes),
  sizeChanges: mostly(0, 1),
  request: fc.record({
    type: fc.constantFrom<RequestedType>('auto', 'full', 'incremental', 'differential'),
    onBrokenChain: mostly<OnBrokenChain>('full', 'fail'),
    tracker: fc.constantFrom('none', 'extents', 'bitmap', 'push'),
    since: fc.constantFrom('c3', 'cf', 'cx', null),
    size: fc.oneof(fc.constant(null), sizes),
    fullEvery: mostly<number | undefined>(undefined, 1, 4, 7),
    fullAfterDays: mostly<number | undefined>(undefined, 1, 3),
  }),
});

export function sourceOf({ request: { tracker } }: ChainState): DiskSource {
  if (tracker === 'push') return { type: 'push' };
  if (tracker === 'bitmap') return { type: 'nbd', uri: 'nbd://host/x', bitmap: 'b' };
  return { type: 'file', path: '/d.raw', format: 'raw' };
}
