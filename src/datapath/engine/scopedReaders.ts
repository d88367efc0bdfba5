import { throwIfAborted } from '../../shared/abort.js';
import { StrataError } from '../../shared/errors.js';
import type { BlockReader, OpenSource } from '../sources/index.js';
import type { Scope } from './scope.js';

export interface ScopedReaders {
  /** One of the source's readers; the same number gives the same reader. Connects when first asked. */
  reader(number: number): Promise<BlockReader>;
  /** The scope has ended well: its readers stay open for whoever uses the source next. */
  detach(): void;
}

/** Readers that are destroyed when the scope aborts, so that no read outlives a failure. */
export function scopedReaders(source: OpenSource, { signal }: Scope): ScopedReaders {
  let opening: Promise<readonly BlockReader[]> | undefined;
  let opened: readonly BlockReader[] = [];
  const destroy = () => {
    for (const reader of opened) reader.destroy(signal.reason);
  };
  signal.addEventListener('abort', destroy, { once: true });
  const connect = async () => {
    throwIfAborted(signal);
    opened = await source.connect();
    if (signal.aborted) destroy();
    return opened;
  };
  return {
    async reader(number) {
      const readers = await (opening ??= connect());
      const reader = readers[number % readers.length];
      if (!reader) throw new StrataError('internal', 'The source gave no reader.');
      return reader;
    },
    detach: () => signal.removeEventListener('abort', destroy),
  };
}
