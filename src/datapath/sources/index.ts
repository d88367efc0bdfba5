import { openFileSource } from './fileSource.js';
import { openNbdSource } from './nbdSource.js';
import type { OpenSource, SourcePolicy, SourceSpec } from './types.js';

export { fileSource } from './fileSource.js';
export { lookAtFile, type SourceDoubt } from './lookAtFile.js';
export { isNbdAllowed } from './nbdAllow.js';
export { connectSource } from './nbdSource.js';
export { socketIn } from './scratch.js';
export type { BlockReader, KnownRange, OpenSource, SourcePolicy, SourceSpec } from './types.js';

/**
 * Checks a source against the policy and opens it. The caller closes it.
 * @param options.signal aborts everything that the source does, for as long as it is open
 * @throws path_not_allowed, nbd_not_allowed, unknown_format, size_not_aligned, source_missing,
 *   source_references_other_file, source_too_complex, source_in_use, bitmap_missing, invalid_request (a bad URI), and
 *   as connectNbd. Fields: `source.path`, `source.format`, `source.uri`, `source.bitmap`
 */
export async function openSource(
  spec: SourceSpec,
  policy: SourcePolicy,
  options: { signal?: AbortSignal } = {},
): Promise<OpenSource> {
  const open = OPENERS[spec.type] as Opener<SourceSpec>;
  return open(spec, policy, options.signal);
}

type Opener<S> = (spec: S, policy: SourcePolicy, signal?: AbortSignal) => Promise<OpenSource>;

/** Every kind of source that is read: one that is not here does not compile. */
const OPENERS: { [T in SourceSpec['type']]: Opener<Extract<SourceSpec, { type: T }>> } = {
  file: openFileSource,
  nbd: openNbdSource,
};
