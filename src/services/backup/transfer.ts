import { basename, join } from 'node:path';
import {
  copyChanges,
  copyDifferences,
  copyFull,
  type LayerResult,
  type OpenSource,
} from '../../datapath/index.js';
import type { HeldLease } from '../job/holdLease.js';
import type { ReportProgress, ServiceDeps } from '../deps.js';
import { type BackupFiles, sidecarsOf } from '../repository/layout.js';
import { createImage } from '../../qcow2/index.js';
import type { Extent } from '../../shared/extents.js';
import { randomPart } from '../../shared/ids.js';
import { auditBlocks, type SeededAudit } from './audit.js';
import type { BackupContext } from './context.js';
import { extentsToCopy, listedExtents } from './extents.js';
import type { BackupPlan, Layer } from '../chain/index.js';

/** 130 bits: nobody knows beforehand which blocks will be looked at. */
const SEED_LENGTH = 26;

export interface TransferInput {
  deps: ServiceDeps;
  held: HeldLease;
  context: BackupContext;
  plan: BackupPlan;
  source: OpenSource;
  /** Temporary names, relative to the repository's root. */
  partial: BackupFiles;
  report: ReportProgress;
}

/** A layer that was written, and the audit of the tracker that told what goes into it. */
export interface Transferred {
  layer: LayerResult;
  audit?: SeededAudit;
}

/** Moves the bytes into the temporary image and writes its digest index; both are flushed when it returns. */
export async function transfer(input: TransferInput): Promise<Transferred> {
  const { deps, held, context, plan, source, partial, report } = input;
  const root = context.repository.rootPath;
  const common = {
    source,
    virtualSizeBytes: source.sizeBytes,
    digestPath: join(root, partial.digests),
    backupId: context.job.id,
    scratchDir: deps.scratchDir,
    signal: held.signal,
    rate: held.rate,
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
    { signal: held.signal },
  );
  const overlay = join(root, partial.image);
  const parentLayers = digestPaths(root, lineage);
  if (plan.mode === 'compare') return { layer: await copyDifferences({ ...common, overlay, parentLayers }) };
  const seed = randomPart(SEED_LENGTH);
  const blocks = auditBlocks(source.sizeBytes, deps.audit);
  const changes = changesOf(deps, context, source, held.signal);
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
