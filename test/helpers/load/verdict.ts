import { join } from 'node:path';
import { BackupJob } from '../../../src/entities/index.js';
import { compareImages } from '../../../src/qcow2/index.js';
import type { TestFleet } from '../fleet.js';
import { chainProblems, leaseProblems } from '../inOrder/chains.js';
import { fileProblems } from '../inOrder/files.js';
import { processProblems, scratchProblems } from '../inOrder/processes.js';
import { queueProblems } from '../inOrder/queues.js';
import type { Random } from '../random.js';
import { expectedId, sizeOf, writeDisk } from './content.js';
import { type AcceptedPoint, changeIdOf, diskOf, type Upstream } from './upstream.js';
import { namesBelow } from '../namesBelow.js';

/** What is there at the end, compared with what was asked for. Problems are sentences; none is as it should be. */
export interface Verdict {
  accepted: number;
  completed: number;
  /** Accepted and not completed. */
  lost: string[];
  /** Backups, or images in the repository, beyond one for each that was accepted. */
  doubled: number;
  outOfOrder: string[];
  leftovers: string[];
  /** Points whose content id, and whose bytes, were compared with what their disks held. */
  compared: { ids: number; bytes: number };
  wrong: string[];
}

/** A content id costs a few ms and `qemu-img compare` a process: all points by the one, the tips and some by the other. */
const BYTES_PERCENT = 10;

export async function judgeLoad(fleet: TestFleet, upstream: Upstream, random: Random): Promise<Verdict> {
  const { accepted } = upstream;
  const rows = await fleet.suite.ds.getRepository(BackupJob).find();
  const byId = new Map(rows.map((row) => [row.id, row]));
  const completed = rows.filter(({ status }) => status === 'completed');
  const entries = await namesBelow(fleet.repositoryRoot);
  const images = entries.filter((name) => name.endsWith('.qcow2')).length;
  const verdict: Verdict = {
    accepted: accepted.length,
    completed: completed.length,
    lost: accepted.flatMap(({ id }) => lostAs(id, byId.get(id))),
    doubled: rows.length - accepted.length + images - completed.length,
    outOfOrder: await chainProblems(
      fleet,
      accepted.map(({ id }) => id),
    ),
    leftovers: [
      ...(await leaseProblems(fleet)),
      ...(await queueProblems(fleet)),
      ...(await processProblems([])),
      ...(await scratchProblems(fleet)),
      ...(await fileProblems(fleet)),
    ],
    compared: { ids: 0, bytes: 0 },
    wrong: [],
  };
  for (const point of accepted) {
    const row = byId.get(point.id);
    if (row?.status === 'completed') await comparePoint(fleet, point, row, random, verdict);
  }
  return verdict;
}

function lostAs(id: string, row: BackupJob | undefined): string[] {
  if (row?.status === 'completed') return [];
  return [`${id} is ${row?.status ?? 'gone'}: ${row?.errorCode} ${row?.errorDetail}`];
}

async function comparePoint(
  fleet: TestFleet,
  { id, chain, index }: AcceptedPoint,
  row: BackupJob,
  random: Random,
  verdict: Verdict,
): Promise<void> {
  const point = chain.points[index];
  if (!point) throw new RangeError(`${chain.name} has no point ${index}`);
  const path = diskOf(fleet, chain, index);
  const say = (what: string) => verdict.wrong.push(`${id} (${chain.name}, point ${index}) ${what}`);
  if (row.changeId !== changeIdOf(chain, index)) say(`has the change id ${row.changeId}`);
  // Where all ran in order, every change list fits the backup that it is for; that of a grown disk is not asked.
  const base = point.since === undefined ? undefined : chain.points[point.since];
  const demoted = base && sizeOf(base) !== sizeOf(point) ? 'disk_resized' : null;
  if (row.demotedReason !== demoted) say(`was demoted: ${row.demotedReason}, and not ${demoted}`);
  verdict.compared.ids++;
  if (row.contentId !== (await expectedId(path, chain, point))) say('has another content id than its disk');
  const isTip = index === chain.points.length - 1;
  if (!isTip && random.integer(1, 100) > BYTES_PERCENT) return;
  verdict.compared.bytes++;
  await writeDisk(path, chain, point);
  const image = join(fleet.repositoryRoot, row.repositoryPath ?? '');
  const { identical, message } = await compareImages(
    { type: 'file', path: image, format: 'qcow2' },
    { type: 'file', path, format: 'raw' },
  );
  if (!identical) say(message);
}
