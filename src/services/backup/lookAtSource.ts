import { lookAtFile, type SourceDoubt } from '../../datapath/index.js';
import { atMost } from '../../shared/abort.js';
import { isStrataError, StrataError } from '../../shared/errors.js';
import type { DiskSource } from '../../shared/sources.js';

export type { SourceDoubt } from '../../datapath/index.js';

/** A look at a file takes milliseconds; a file system that hangs takes for ever. */
const LOOK_MS = 2_000;
/** A look that hangs keeps one of the process's few threads for files: so many may, and then nobody looks any more. */
const MOST_STUCK = 2;

/** Looks at sources from a process that has better things to do. One for each process. */
export interface SourceLook {
  /**
   * What there is to say of a source that is being registered, as far as this host can tell within two seconds.
   * @param field where the source stands in the request, for what is refused
   * @throws source_encrypted, source_references_other_file, source_unsupported
   */
  at(source: DiskSource, roots: readonly string[], field: string): Promise<SourceDoubt | undefined>;
}

export function createSourceLook(): SourceLook {
  let underWay = 0;
  return {
    at: async (source, roots, field) => {
      if (source.type !== 'file' || underWay >= MOST_STUCK) return undefined;
      underWay++;
      const looking = lookAtFile(source, roots).finally(() => {
        underWay--;
      });
      try {
        return await atMost(looking, LOOK_MS);
      } catch (error) {
        if (!isStrataError(error)) throw error;
        throw new StrataError(error.code, error.message, { cause: error, details: error.details, field });
      }
    },
  };
}
