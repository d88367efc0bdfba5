import { basename, join } from 'node:path';
import {
  copyChanges,
  copyDifferences,
  copyFull,
  type LayerResult,
  type OpenSource,
} from '../../datapath/index.js';
import type { ServiceDeps } from '../deps.js';
import { sidecarsOf } from '../repository/layout.js';
import { createImage } from '../../qcow2/index.js';
import type { Extent } from '../../shared/extents.js';
import { randomPart } from '../../shared/ids.js';
import type { NewBackup } from './attempt.js';
import { auditBlocks, type SeededAudit } from './audit.js';
import type { BackupContext } from './context.js';
import { extentsToCopy, listedExtents } from './extents.js';
import type { Layer } from '../chain/index.js';

/** 130 bits: nobody knows beforehand which blocks will be looked at. */
const SEED_LENGTH = 26;

/** A layer that was written, and the audit of the tracker that told what goes into it. */
export interface Transferred {
  layer: LayerResult;
  audit?: SeededAudit;
}

/** Moves the bytes into the temporary image and writes its digest index; both are flushed when it returns. */
export async function transfer(
  { deps, io, context, plan, partial, report }: NewBackup,
  source: OpenSource,
): Promise<Transferred> {
  const { root } = context;
  const common = {
    source,
    virtualSizeBytes: source.sizeBytes,
    digestPath: join(root, partial.digests),
    backupId: context.job.id,
    ...io,
    onProgress: (progress: { bytesDone: number; bytesTotal: number }) =>
      report({ phase: 'copying', bytes_done: progress.bytesDone, bytes_total: progress.bytesTotal }),
  };
  if (plan.type === 'full')
    return { layer: await copyFull({ ...common, target: join(root, partial.image) }) };
  const lineage = layersOf(context, plan.parent.id);
  const parent = lineage[0];
  // A relative name in the same directory: a copied tree restores with plain tools (invariant 10).
  await createImage(
    join(root, partial.image),
    { virtualSizeBytes: source.sizeBytes, backing: { name: basename(parent.path), format: 'qcow2' } },
    io,
  );
  const overlay = join(root, partial.image);
  const parentLayers = digestPaths(root, lineage);
  if (plan.mode === 'compare') return { layer: await copyDifferences({ ...common, overlay, parentLayers }) };
  const seed = randomPart(SEED_LENGTH);
  const blocks = auditBlocks(source.sizeBytes, deps.audit);
  const changes = changesOf(deps, context, source, io.signal);
  const { audit, ...layer } = await copyChanges({
    ...common,
    overlay,
    parentLayers,
    extents: extentsToCopy(changes, plan.parent.virtualSize, source.sizeBytes),
    audit: { blocks, seed },
  });
  return { layer, audit: { ...audit, seed } };
}

function changesOf(
  deps: ServiceDeps,
  context: BackupContext,
  source: OpenSource,
  signal: AbortSignal,
): AsyncIterable<Extent> {
  const { request } = context.job;
  if (request.has_extents) return listedExtents(deps.ds, context.job);
  return source.changed(request.source.type === 'nbd' ? (request.source.bitmap ?? '') : '', { signal });
}

/** The parent and what is below it, topmost first. */
export function layersOf(context: BackupContext, parentId: string): [Layer, ...Layer[]] {
  const [parent, ...below] = context.lineage.slice(
    context.lineage.findIndex((layer) => layer.id === parentId),
  );
  if (parent?.id !== parentId) throw new RangeError(`${parentId} is not in the lineage of ${context.job.id}`);
  return [parent, ...below];
}

/** Digest indexes of layers, as absolute paths, in the same order. */
export function digestPaths(root: string, layers: readonly Layer[]): string[] {
  return layers.map((layer) => join(root, sidecarsOf(layer.path).digests));
}
