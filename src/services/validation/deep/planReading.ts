import type { Layer } from '../../chain/index.js';
import type { LayerProof } from '../../../entities/index.js';
import { digestsBelong } from '../collectSidecars.js';
import type { BackupFacts, ChainFacts } from '../facts.js';

/** What a deep validation does with the file of a backup. */
export type ReadingStep =
  /** Read it and compare it with its digest index. */
  | { action: 'compare'; row: Layer }
  /** Its index cannot be used: read it, and prove it by the content id of its restore point. */
  | { action: 'rebuild'; row: Layer }
  /** It was read since `staleBefore`. */
  | { action: 'fresh'; row: Layer }
  /** There is no image that could be read; the reason is a finding of its own. */
  | { action: 'skip'; row: Layer; reason: string };

/**
 * Decides what is read, oldest backup first. Pure.
 * @param staleBefore what was read before this moment is read again
 */
export function planReading(
  chain: Pick<ChainFacts, 'backups'>,
  proofs: ReadonlyMap<string, Pick<LayerProof, 'provedAt'>>,
  staleBefore: Date,
): ReadingStep[] {
  return chain.backups.map((facts): ReadingStep => {
    const { row } = facts;
    const provedAt = proofs.get(row.id)?.provedAt;
    if (provedAt && provedAt >= staleBefore) return { action: 'fresh', row };
    const reason = whyNot(facts);
    if (reason !== undefined) return { action: 'skip', row, reason };
    return { action: digestsBelong(row, facts.digests) ? 'compare' : 'rebuild', row };
  });
}

function whyNot({ row, file, header, check, digests }: BackupFacts): string | undefined {
  if (file.state !== 'present') return 'the file is not there or cannot be opened';
  if (header.state === 'unknown') return header.reason;
  if (header.virtualSize !== row.virtualSize) return 'its header has another disk size';
  if (check.state === 'unreadable' || check.state === 'corrupt') return check.reason;
  return digests.state === 'unreadable' ? digests.reason : undefined;
}
