export { contentId, contentIdOfRuns, createContentHasher } from './contentId.js';
export type { DigestHeader } from './format.js';
export { effectiveDigests, providedDigests } from './merge.js';
export { mergeIndexes } from './writer.js';
export { type DigestIndex, openDigestIndex, readDigestIndex } from './reader.js';
export { blockCount, type DataRun, DIGEST_BYTES, type DigestRun, sliceRun, type ZeroRun } from './runs.js';
export { createDigestWriter, type DigestTotals, type DigestWriter } from './writer.js';
