import { type JobStatus } from '../../../src/shared/jobs.js';
import type { BackupCreate } from '../../../src/contract/index.js';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { acceptBackup } from '../../../src/producers/accept/index.js';
import type { TestFleet } from '../fleet.js';
import type { Random } from '../random.js';
import { sizeOf, writeDisk } from './content.js';
import type { PlannedChain } from './plan.js';

/** A backup that was accepted, in the order in which the upstream asked. */
export interface AcceptedPoint {
  id: string;
  chain: PlannedChain;
  index: number;
}

export interface Upstream {
  accepted: AcceptedPoint[];
  /** Requests that were sent a second time, and got another answer than the first time. */
  repeated: { times: number; differently: number };
}

export interface UpstreamOptions {
  plans: readonly PlannedChain[];
  random: Random;
  /** Backups of a chain that are open at a time. */
  window: number;
  deadlineMs: number;
}

const POLL_MS = 200;
const REPEATED_PERCENT = 5;
const OPEN: JobStatus[] = ['queued', 'released', 'running'];

/**
 * Asks for all backups of all chains, a few of each at a time, each from a disk image of its own that stays until the
 * backup has ended; returns when none is open any more.
 */
export async function runUpstream(fleet: TestFleet, options: UpstreamOptions): Promise<Upstream> {
  const upstream: Upstream = { accepted: [], repeated: { times: 0, differently: 0 } };
  const next = new Map(options.plans.map((chain) => [chain, 0]));
  const open = new Map<string, AcceptedPoint>();
  const deadline = performance.now() + options.deadlineMs;
  for (;;) {
    for (const chain of options.plans) {
      const index = next.get(chain) ?? 0;
      const busy = [...open.values()].filter((point) => point.chain === chain).length;
      if (index >= chain.points.length || busy >= options.window) continue;
      const point = await ask(fleet, options.random, upstream, chain, index);
      open.set(point.id, point);
      next.set(chain, index + 1);
    }
    for (const id of await endedOf(fleet, [...open.keys()])) {
      const point = open.get(id);
      if (point) await rm(diskOf(fleet, point.chain, point.index));
      open.delete(id);
    }
    if (open.size === 0 && options.plans.every((chain) => next.get(chain) === chain.points.length))
      return upstream;
    if (performance.now() > deadline) throw new Error(`${open.size} backups are still open.`);
    await fleet.accept.clock.sleep(POLL_MS);
  }
}

export function diskOf(fleet: TestFleet, chain: PlannedChain, index: number): string {
  return join(fleet.sources, `${chain.name}-${index}.raw`);
}

export const changeIdOf = (chain: PlannedChain, index: number) => `${chain.name}/${index}`;

async function ask(
  fleet: TestFleet,
  random: Random,
  upstream: Upstream,
  chain: PlannedChain,
  index: number,
): Promise<AcceptedPoint> {
  const point = chain.points[index];
  if (!point) throw new RangeError(`${chain.name} has no point ${index}`);
  const path = diskOf(fleet, chain, index);
  await writeDisk(path, chain, point);
  const { since } = point;
  const body: BackupCreate = {
    vm_name: chain.name,
    repository_id: 'main',
    backup_type: point.type,
    disks: [
      {
        disk_id: 0,
        source: { type: 'file', path, format: 'raw' },
        virtual_size: sizeOf(point),
        change_id: changeIdOf(chain, index),
        ...(since === undefined
          ? {}
          : { since_change_id: changeIdOf(chain, since), changed_extents: point.changes }),
      },
    ],
  };
  const send = async () => {
    const idempotency = { tokenId: 'tok_load', key: path, requestSha256: 'the same' };
    const answer = await acceptBackup(fleet.accept, body, idempotency);
    return answer.disk_results[0]?.backup_id ?? '';
  };
  const id = await send();
  upstream.accepted.push({ id, chain, index });
  if (random.integer(1, 100) <= REPEATED_PERCENT) {
    upstream.repeated.times++;
    if ((await send()) !== id) upstream.repeated.differently++;
  }
  return { id, chain, index };
}

async function endedOf(fleet: TestFleet, ids: readonly string[]): Promise<string[]> {
  if (ids.length === 0) return [];
  const rows = await fleet.suite.ds.query<{ id: string }[]>(
    'SELECT id FROM backup_jobs WHERE id IN (?) AND status NOT IN (?)',
    [ids, OPEN],
  );
  return rows.map(({ id }) => id);
}
