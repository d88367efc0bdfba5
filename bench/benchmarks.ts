import { loadavg } from 'node:os';
import { join } from 'node:path';
import { type Bed, openBed, type Vm } from './bed.js';
import type { CallsOfBoth } from './calls.js';
import { catalogueContest } from './contests/catalogue.js';
import { chainContests } from './contests/chain.js';
import { changesContest } from './contests/changes.js';
import { compareContest } from './contests/compare.js';
import { costContest } from './contests/cost.js';
import { deepContest } from './contests/deep.js';
import { fixedCostContest } from './contests/fixedCost.js';
import { fullContest } from './contests/full.js';
import { memoryContest, type WorkerMemory } from './contests/memory.js';
import { finerContest, largerContest } from './contests/scale.js';
import { mergeContests } from './contests/merge.js';
import { makeReferenceDisk } from './disks.js';
import { describeMachine } from './machine.js';
import type { Parts } from './parts.js';
import type { Results } from './report.js';
import type { Row } from './row.js';
import type { Sizes } from './sizes.js';

export const CONTESTS = [
  'full',
  'changes',
  'larger',
  'finer',
  'compare',
  'fixed',
  'chain',
  'deep',
  'merge',
  'cost',
  'catalogue',
  'memory',
] as const;
export type ContestName = (typeof CONTESTS)[number];

/**
 * Runs the contests on a system of its own, and removes all of it.
 * @param say takes a line for whoever waits
 */
export async function runBenchmarks(
  sizes: Sizes,
  only: readonly ContestName[],
  say: (line: string) => void,
): Promise<Results> {
  const bed = await openBed();
  try {
    const machine = await describeMachine(bed.scratch);
    const load = [loadNow()];
    const measured = await runContests(bed, sizes, only, (line) => {
      load.push(loadNow());
      say(line);
    });
    load.push(loadNow());
    return { sizes, ...measured, machine, load, at: new Date() };
  } finally {
    await bed.close();
  }
}

/** Processes that wanted to run, on the average of the last minute. */
function loadNow(): number {
  return loadavg()[0] ?? Number.NaN;
}

async function runContests(
  bed: Bed,
  sizes: Sizes,
  only: readonly ContestName[],
  say: (line: string) => void,
): Promise<Pick<Results, 'rows' | 'parts' | 'calls' | 'memory'>> {
  const disk = join(bed.fleet.sources, 'reference.raw');
  say(`making the ${sizes.name} disk`);
  await makeReferenceDisk(disk, sizes);
  const vm: Vm = { name: 'main', disk, changeId: 0 };
  const full = await bed.backup(vm, 'full');
  let parts: Parts[] = [];
  let calls: CallsOfBoth | undefined;
  let memory: WorkerMemory[] = [];
  const contests: Record<ContestName, () => Promise<Row[]>> = {
    full: () => fullContest(bed, sizes, disk),
    changes: () => changesContest(bed, sizes, vm, full),
    larger: () => largerContest(bed, sizes, disk),
    finer: () => finerContest(bed, sizes, disk),
    compare: async () => {
      // What other contests wrote to the disk would be differences, too.
      const last = await bed.backup(vm, 'compare');
      return compareContest(bed, sizes, vm, last);
    },
    fixed: async () => {
      const cost = await fixedCostContest(bed, sizes, vm);
      parts = cost.parts;
      return cost.rows;
    },
    chain: () => chainContests(bed, sizes, disk),
    deep: () => deepContest(bed, sizes, disk),
    merge: () => mergeContests(bed, sizes),
    catalogue: () => catalogueContest(sizes),
    memory: async () => {
      memory = await memoryContest(sizes);
      return [];
    },
    cost: async () => {
      const cost = await costContest(sizes);
      calls = cost.calls;
      return cost.rows;
    },
  };
  const rows: Row[] = [];
  for (const name of CONTESTS.filter((each) => only.includes(each))) {
    say(`${name} ...`);
    rows.push(...(await contests[name]()));
  }
  return { rows, parts, calls, memory };
}
