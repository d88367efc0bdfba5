import { join } from 'node:path';
import { byId, type Layer, lineageOf, tipsOf } from '../chain/index.js';
import { sidecarsOf } from '../repository/layout.js';
import { computeContentId, digestsBelong } from './collectSidecars.js';
import type { BackupFacts } from './facts.js';

type Sidecars = Pick<BackupFacts, 'manifest' | 'digests' | 'content'>;

export interface CollectContents {
  root: string;
  /** Oldest first. */
  rows: readonly Layer[];
  signal: AbortSignal;
  /** Every point is looked at, not only the tips. */
  everyPoint: boolean;
}

const OLDER =
  'With the indexes below it gives another content id than catalogue and manifest have: it is of another time.';

/**
 * Computes the content ids that the indexes give. From the tips every index is reached, and each has its own checksum: doing
 * it for every point reads every index once for each point above it, which pays only where images are read as well, or where a
 * tip has not its content id. Then the lowest index that does not fit is found, which is an older copy of itself: a merge gives a
 * backup another index, with the same id and size.
 */
export async function collectContents(
  { root, rows, signal, everyPoint }: CollectContents,
  sidecars: Map<string, Sidecars>,
): Promise<void> {
  const rowsById = byId(rows);
  /** Gives other content than is recorded, or stands on one that does; whose fault that is is not known. */
  const doubted = new Set<string>();
  const look = async (row: Layer, mayBeOlder: boolean): Promise<boolean> => {
    const { layers, broken } = lineageOf(rowsById, row.id);
    const own = sidecars.get(row.id);
    const usable = layers.every(({ id }) => isUsable(rowsById.get(id), sidecars.get(id)));
    if (!own) return true;
    if (broken !== undefined || !usable) {
      sidecars.set(row.id, { ...own, content: { state: 'skipped' } });
      return true;
    }
    const indexes = layers.map(({ path }) => join(root, sidecarsOf(path).digests));
    const content = await computeContentId(indexes, row.virtualSize, signal);
    const fits = content.state !== 'computed' || content.id === row.contentId;
    const sure = mayBeOlder && !fits && !row.expired && !layers.some(({ id }) => doubted.has(id));
    if (sure && isAsRecorded(row, own))
      sidecars.set(row.id, { ...own, digests: { state: 'invalid', reason: OLDER } });
    else {
      sidecars.set(row.id, { ...own, content });
      if (!fits) doubted.add(row.id);
    }
    return fits;
  };
  const open = new Set<string>();
  for (const id of tipsOf(rows)) {
    const tip = rowsById.get(id);
    if (tip && !everyPoint && (await look(tip, false))) continue;
    doubted.delete(id);
    for (const layer of lineageOf(rowsById, id).layers) open.add(layer.id);
  }
  for (const row of rows) if (open.has(row.id)) await look(row, true);
}

function isUsable(row: Layer | undefined, sidecars: Sidecars | undefined): boolean {
  return row !== undefined && sidecars !== undefined && digestsBelong(row, sidecars.digests);
}

/** The manifest says the same of the content as the catalogue. */
function isAsRecorded({ id, contentId }: Layer, { manifest }: Sidecars): boolean {
  return (
    manifest.state === 'read' && manifest.value.backup_id === id && manifest.value.content_id === contentId
  );
}
