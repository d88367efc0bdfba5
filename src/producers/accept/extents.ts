import type { ExtentsAccepted } from '../../contract/index.js';
import { createHash } from 'node:crypto';
import {
  addExtentsPart,
  dropUpload,
  extentsState,
  fulfilExtents,
  noListWanted,
} from '../../db/job/awaitExtents.js';
import { asking } from '../../db/transaction.js';
import { type BlockSet, createBlockSet } from '../../shared/blockSet.js';
import { BLOCK_SIZE } from '../../shared/extents.js';
import { randomPart } from '../../shared/ids.js';
import type { AcceptDeps } from './deps.js';
import { packExtents } from './extentParts.js';
import { deliverAll } from './once.js';

/**
 * Takes the change list that a backup waits for, and lets it go on. Whatever fails or dies on the way, the list is taken
 * whole or not at all; the same list sent again is the same request.
 * @param read gives the extents, in any order; nothing is written before it has returned
 * @throws not_found; wrong_state where no list is awaited, or another one has come; what `read` throws
 */
export async function acceptExtents(
  deps: AcceptDeps,
  backupId: string,
  read: (add: BlockSet['add']) => Promise<void>,
): Promise<ExtentsAccepted> {
  const before = await extentsState(deps.ds, backupId);
  if (!before.awaits && before.sha256 === null) throw noListWanted(backupId, before);
  const list = createBlockSet(before.virtualSize ?? undefined);
  await read((extent, field) => list.add(extent, field));
  const { sha256, ...totals } = summarise(list);
  if (before.sha256 !== sha256) await store(deps, backupId, list, sha256);
  const { status } = await extentsState(deps.ds, backupId);
  return { backup_id: backupId, status, ...totals };
}

function summarise(list: BlockSet): { sha256: string; ranges: number; changed_bytes: number } {
  const hash = createHash('sha256');
  for (const pairs of packExtents(list.extents())) hash.update(pairs);
  let ranges = 0;
  let blocks = 0;
  for (const { length } of list.extents()) {
    ranges++;
    blocks += Math.ceil(length / BLOCK_SIZE);
  }
  return { sha256: hash.digest('hex'), ranges, changed_bytes: blocks * BLOCK_SIZE };
}

async function store(deps: AcceptDeps, backupId: string, list: BlockSet, sha256: string): Promise<void> {
  const upload = randomPart(26);
  let wanted = false;
  try {
    let part = 0;
    for (const pairs of packExtents(list.extents())) {
      // A statement of its own each; they count for nothing before the last step.
      const place = { backupId, upload, part: part++ };
      await asking(() => addExtentsPart(deps.ds, place, pairs));
    }
    const { repeated, next } = await fulfilExtents(deps.ds, backupId, { upload, sha256 });
    wanted = !repeated;
    if (next) await deliverAll(deps, [next]);
  } finally {
    if (!wanted) await forget(deps, backupId, upload);
  }
}

/** What cannot be removed now goes with the end of the job. */
async function forget(deps: AcceptDeps, backupId: string, upload: string): Promise<void> {
  await dropUpload(deps.ds, backupId, upload).catch((error: unknown) =>
    deps.log.warn({ err: error, jobId: backupId }, 'an unwanted change list was left behind'),
  );
}
