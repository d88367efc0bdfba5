import { stat } from 'node:fs/promises';
import { atMost } from '../../shared/abort.js';
import type { DiskSource } from '../../shared/sources.js';
import { keysOf, pathsOf } from './sourceRules.js';
import type { Clock } from '../../shared/clock.js';
import { errnoOf } from '../../shared/errors.js';

/** All that is looked at for one question: a file system that hangs must not keep an answer for long. */
const LOOK_MS = 500;
/** For so long it is believed what a path leads to: a large fleet is not looked at anew for each backup. */
const BELIEVED_MS = 60_000;

/** Tells whether two sources are the same disk, as far as this host can see. One for each process. */
export interface SourceIdentities {
  /**
   * What tells each source from others, in their order: two with a text in common read the same disk. It is by device and inode, the
   * device's number, or host, port and export; by the path or URI alone where this host sees nothing.
   */
  of(sources: readonly DiskSource[]): Promise<string[][]>;
}

export function createSourceIdentities(clock: Pick<Clock, 'monotonicMs'>): SourceIdentities {
  const known = new Map<string, { identity: string | undefined; until: number }>();
  // One at a time, so that a hang holds one of the few threads that the process has for files.
  let stuck = false;
  const identify = async (path: string): Promise<string | undefined> => {
    const before = known.get(path);
    if (before && before.until > clock.monotonicMs()) return before.identity;
    if (stuck) return undefined;
    stuck = true;
    const identity = await identityOf(path).finally(() => {
      stuck = false;
    });
    known.set(path, { identity, until: clock.monotonicMs() + BELIEVED_MS });
    return identity;
  };
  const look = async (paths: readonly string[], stop: AbortSignal) => {
    for (const path of paths) {
      if (stop.aborted) return;
      await identify(path);
    }
  };
  return {
    of: async (sources) => {
      const paths = [...new Set(sources.flatMap(pathsOf))];
      const over = new AbortController();
      try {
        await atMost(look(paths, over.signal), LOOK_MS);
      } finally {
        over.abort();
      }
      return sources.map((source) => keysOf(source, (path) => known.get(path)?.identity));
    },
  };
}

/** Undefined for what is not there, or not to be seen. */
async function identityOf(path: string): Promise<string | undefined> {
  try {
    const found = await stat(path, { bigint: true });
    // A device may have several nodes.
    return found.isBlockDevice() ? `device:${found.rdev}` : `inode:${found.dev}:${found.ino}`;
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return undefined;
  }
}
