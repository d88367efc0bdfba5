import { type FileLock, type ForeignFile, lockFiles } from '../../qcow2/index.js';
import { isStrataError, StrataError } from '../../shared/errors.js';
import { withField } from './checks.js';
import { differingFacts, factsOf, flushCaches } from './facts.js';

const FIELD = 'source.path';

/** Files of a source that stay as they are while they are read, and what they were before. */
export interface SourceHold {
  /** @throws source_in_use, source_unsupported, tool_missing, tool_timeout, tool_failed */
  lock(): Promise<void>;
  /** @throws source_changed where anything was written since, or the lock was lost: what was read is of no one moment */
  assertUnchanged(): Promise<void>;
  /** Lets go. Never rejects. */
  close(): Promise<void>;
}

/**
 * A hold on files by QEMU's own lock (docs/decisions/0019-sources-are-held.md): no machine that honours it writes to them from
 * `lock` to `close`. Who does not honour it is found by what has changed since this was called.
 * @throws source_io_error and the like where the files cannot be looked at
 */
export async function createHold(
  files: readonly ForeignFile[],
  signal: AbortSignal | undefined,
): Promise<SourceHold> {
  let held: FileLock | undefined;
  // What is flushed is written: first.
  await Promise.all(files.map(flushCaches));
  const before = await Promise.all(files.map(async (file) => ({ file, facts: await factsOf(file) })));
  return {
    lock: async () => {
      held = await lockFiles(files, signal ? { signal } : {}).catch((error: unknown) => {
        throw isStrataError(error) ? withRemedy(error) : error;
      });
    },
    assertUnchanged: async () => {
      for (const { file, facts } of before) {
        const names = differingFacts(facts, await factsOf(file));
        if (names.length > 0) throw changed(file.path, names);
      }
      if (!held?.isHeld()) throw lockLost();
    },
    close: async () => {
      await held?.close();
    },
  };
}

/** Of a source that others may write to, by the word of whoever registered it. */
export const NO_HOLD: SourceHold = {
  lock: () => Promise.resolve(),
  assertUnchanged: () => Promise.resolve(),
  close: () => Promise.resolve(),
};

/** The error of a file source, with the remedy where another program has it. */
export function withRemedy(error: StrataError): StrataError {
  if (error.code !== 'source_in_use') return withField(error, FIELD);
  return new StrataError(
    'source_in_use',
    'The source is open for writing in another program, such as a running machine. Back up a running machine over NBD (its hypervisor exports the disk), or stop it. Where the source is certainly still, as of a snapshot, register it with force_share.',
    { field: FIELD, cause: error, details: error.details },
  );
}

function changed(path: string, names: readonly string[]): StrataError {
  return new StrataError(
    'source_changed',
    `The source was written to while it was read (${names.join(', ')}), so that the backup would hold no one moment of it. Back up a running machine over NBD, or freeze what writes.`,
    { field: FIELD, details: { path, differs: names } },
  );
}

function lockLost(): StrataError {
  return new StrataError(
    'source_changed',
    'The lock on the source was lost while it was read: its holder has ended.',
    {
      field: FIELD,
    },
  );
}
