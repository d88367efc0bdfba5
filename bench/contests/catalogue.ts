import { createRandom, type Random } from '../../test/helpers/random.js';
import { openApi, type TestApi } from '../../test/integration/producers/http/support.js';
import { type CatalogueSize, chainIdOf, fillCatalogue, vmNameOf } from '../catalogue.js';
import { compete, type Timing } from '../contest.js';
import type { Row } from '../row.js';
import type { Sizes } from '../sizes.js';

const GOAL = 1.5;
const P99_GOAL_SECONDS = 0.05;
const SEED = 7;

/** What users ask, each time about another chain. `chain` is a number from 1. */
const QUESTIONS: Record<string, (chain: number) => string> = {
  'list of the newest 100 backups': () => 'backups?limit=100',
  'list of the backups of one VM': (chain) => `backups?limit=100&vm_name=${vmNameOf(chain)}`,
  'list of 100 chains': () => 'chains?limit=100',
  'a chain with its backups': (chain) => `chains/${chainIdOf(chain)}`,
  'latest change id': (chain) => `backups/changeid?repository_id=main&vm_name=${vmNameOf(chain)}&disk_id=0`,
};

interface Filled {
  api: TestApi;
  size: CatalogueSize;
  random: Random;
}

/** The same questions to the API of a large catalogue and of a small one. */
export async function catalogueContest(sizes: Sizes): Promise<Row[]> {
  const { small: few, large: many, backups } = sizes.catalogue;
  const small = await openFilled({ chains: few, backups });
  try {
    const large = await openFilled({ chains: many, backups });
    try {
      return await ask(sizes, small, large);
    } finally {
      await large.api.close();
    }
  } finally {
    await small.api.close();
  }
}

async function openFilled(size: CatalogueSize): Promise<Filled> {
  const api = await openApi();
  try {
    await fillCatalogue(api.fleet.suite.ds, api.fleet.repositoryId, size);
    return { api, size, random: createRandom(SEED) };
  } catch (error) {
    await api.close();
    throw error;
  }
}

async function ask(sizes: Sizes, small: Filled, large: Filled): Promise<Row[]> {
  const rows: Row[] = [];
  const slowest: { what: string; timings: Timing[] } = { what: '', timings: [] };
  for (const [what, path] of Object.entries(QUESTIONS)) {
    const question = (catalogue: Filled) => () => askOften(catalogue, path, sizes.catalogue.questions);
    const { ours, theirs } = await compete(sizes, {
      settle: async () => undefined,
      contenders: { ours: question(large), theirs: question(small) },
    });
    const against = `${small.size.chains} chains`;
    rows.push({ what: `${what}, ${name(large.size)}`, against, ours, theirs, goal: GOAL, bounds: BOUNDS });
    const p99 = ours.map(({ laps }) => ({ ms: laps?.['p99'] ?? Number.NaN }));
    if (sum(p99) > sum(slowest.timings)) Object.assign(slowest, { what, timings: p99 });
  }
  const what = `the slowest of these (${slowest.what}), 99th percentile`;
  rows.push({ what, against: '', ours: slowest.timings, goal: P99_GOAL_SECONDS, bounds: BOUNDS });
  return rows;
}

const BOUNDS =
  'The buffer pool of the embedded MariaDB (128 MiB): the small catalogue lies in it, of the large one most pages are read ' +
  'from files.';

const name = ({ chains, backups }: CatalogueSize) => `${chains} chains of ${backups} backups`;
const sum = (timings: readonly Timing[]) => timings.reduce((total, { ms }) => total + ms, 0);

/** The mean of one answer, and the 99th percentile. */
async function askOften(
  { api, size, random }: Filled,
  path: (chain: number) => string,
  times: number,
): Promise<Timing> {
  const each: number[] = [];
  while (each.length < times) {
    const url = path(random.integer(1, size.chains));
    const began = performance.now();
    const { status, text } = await api.call('GET', url, { as: 'viewer' });
    each.push(performance.now() - began);
    if (status !== 200) throw new Error(`${url} answers ${status}: ${text}`);
  }
  const sorted = [...each].sort((a, b) => a - b);
  const p99 = sorted[Math.ceil(times * 0.99) - 1] ?? Number.NaN;
  return { ms: each.reduce((total, ms) => total + ms, 0) / times, laps: { p99 } };
}
