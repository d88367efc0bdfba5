import type { BackupType } from '../../entities/index.js';

/** How a merged file comes to be; `convert` is a synthetic full's. */
export type Strategy = 'reflink' | 'copy' | 'in_place' | 'convert';

/** A base of at most this many bytes is copied even where it is a full: it costs a moment, and nothing is changed in place. */
const SMALL_BASE = 64 * 1024 * 1024;

/**
 * Picks how a run is merged. Pure.
 * @param availableBytes free room of the file system; `reserveBytes` of it stay free
 */
export function pickStrategy(facts: {
  canClone: boolean;
  baseType: BackupType;
  baseBytes: number;
  availableBytes: number;
  reserveBytes: number;
}): Exclude<Strategy, 'convert'> {
  if (facts.canClone) return 'reflink';
  const small = facts.baseType !== 'full' || facts.baseBytes <= SMALL_BASE;
  return small && facts.availableBytes - facts.baseBytes >= facts.reserveBytes ? 'copy' : 'in_place';
}
