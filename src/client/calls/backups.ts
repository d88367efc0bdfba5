import type {
  Backup,
  BackupAccepted,
  BackupCreate,
  BackupQuery,
  CancelResult,
  ChangeIdAnswer,
  ChangeIdQuery,
  Consolidation,
  Extent,
  ExtentsAccepted,
  Page,
  Protection,
  PushAnswer,
  PushComplete,
  PushFail,
  PushProgress,
  RemovalQuery,
} from '../../contract/index.js';
import { type CallOptions, path, type Transport } from '../transport.js';
import { keyOf, type WorkOptions } from './options.js';

export interface BackupCalls {
  /** Accepts a backup: one job per disk. Wait for each `disk_results[].backup_id` with `waitForJob`. */
  create(body: BackupCreate, options?: WorkOptions): Promise<BackupAccepted>;
  list(query?: BackupQuery, options?: CallOptions): Promise<Page<Backup>>;
  /** With `waitSeconds`, of a push backup: answers when its export is open, at the latest after so long (30 at most). */
  get(id: string, options?: CallOptions & { waitSeconds?: number | undefined }): Promise<Backup>;
  /** The change id of the backup that a disk's next one would stand on; nulls when there is none: take a full. */
  changeId(query: ChangeIdQuery, options?: CallOptions): Promise<ChangeIdAnswer>;
  /**
   * Sends the change list that a backup with `extents_follow` waits for; it is taken whole or not at all, and may be sent
   * again. Extents are read as they are sent: a list of millions need not be in memory.
   * @param extents called for every try
   */
  putExtents(
    id: string,
    extents: () => Iterable<Extent> | AsyncIterable<Extent>,
    options?: CallOptions,
  ): Promise<ExtentsAccepted>;
  /** The same with a list that is written already, as lines of `offset length` or as JSON. */
  putExtentList(id: string, list: WrittenExtents, options?: CallOptions): Promise<ExtentsAccepted>;
  cancel(id: string, options?: CallOptions): Promise<CancelResult>;
  /** Protects a backup from removal until a date, or no longer. */
  protect(id: string, body: Protection, options?: CallOptions): Promise<Backup>;
  /** Removes one disk's backup; refused while it is protected or in use. */
  remove(id: string, query?: RemovalQuery, options?: WorkOptions): Promise<Consolidation>;
  /**
   * For the agent of a push backup, when it has written all and closed its connections: waits until that is on stable
   * storage. Safe to repeat, and to be repeated when it rejects with `push_unanswered`.
   */
  complete(id: string, body: PushComplete, options?: CallOptions): Promise<PushAnswer>;
  progress(id: string, body: PushProgress, options?: CallOptions): Promise<PushAnswer>;
  fail(id: string, body: PushFail, options?: CallOptions): Promise<PushAnswer>;
}

/** A change list as bytes; `open` is called for every try. */
export interface WrittenExtents {
  type: 'text/plain' | 'application/json';
  open: () => AsyncIterable<Uint8Array>;
}

/** A list may be some GiB, and the server takes as long as this to read one. */
const EXTENTS_TIMEOUT_MS = 300_000;

export function backupCalls(transport: Transport): BackupCalls {
  const base = path('backups');
  const putExtentList: BackupCalls['putExtentList'] = (id, list, options) =>
    transport.call(
      {
        method: 'PUT',
        path: path('backups', id, 'extents'),
        stream: list,
        timeoutMs: EXTENTS_TIMEOUT_MS,
      },
      options,
    );
  return {
    create: (body, options) =>
      transport.call({ method: 'POST', path: base, body, idempotencyKey: keyOf(options) }, options),
    list: (query, options) => transport.call({ method: 'GET', path: base, query }, options),
    get: (id, options) => {
      const query = { wait_seconds: options?.waitSeconds };
      return transport.call({ method: 'GET', path: path('backups', id), query }, options);
    },
    changeId: (query, options) =>
      transport.call({ method: 'GET', path: path('backups', 'changeid'), query }, options),
    putExtents: (id, extents, options) =>
      putExtentList(id, { type: 'text/plain', open: () => extentLines(extents()) }, options),
    putExtentList,
    cancel: (id, options) =>
      transport.call(
        { method: 'POST', path: path('backups', id, 'cancel'), idempotencyKey: keyOf(undefined) },
        options,
      ),
    protect: (id, body, options) =>
      transport.call({ method: 'PATCH', path: path('backups', id), body }, options),
    remove: (id, query, options) =>
      transport.call(
        { method: 'DELETE', path: path('backups', id), query, idempotencyKey: keyOf(options) },
        options,
      ),
    ...agentCalls(transport),
  };
}

/** What agents say: to say it twice is harmless, so that a lost answer is asked for again. */
function agentCalls(transport: Transport): Pick<BackupCalls, 'complete' | 'progress' | 'fail'> {
  const say =
    (word: string) =>
    (id: string, body: unknown, options?: CallOptions): Promise<PushAnswer> =>
      transport.call(
        { method: 'POST', path: path('backups', id, word), body, idempotencyKey: keyOf(undefined) },
        options,
      );
  return { complete: say('complete'), progress: say('progress'), fail: say('fail') };
}

const LINES_PER_PIECE = 4096;

/** A change list as the API takes it: a line each, and one at the end that says how many there were. */
async function* extentLines(
  extents: Iterable<Extent> | AsyncIterable<Extent>,
): AsyncGenerator<Uint8Array, void, undefined> {
  const encoder = new TextEncoder();
  let lines: string[] = [];
  let count = 0;
  for await (const { offset, length } of extents) {
    lines.push(`${offset} ${length}\n`);
    count++;
    if (lines.length < LINES_PER_PIECE) continue;
    yield encoder.encode(lines.join(''));
    lines = [];
  }
  lines.push(`end ${count}\n`);
  yield encoder.encode(lines.join(''));
}
