import type {
  Backup,
  BackupAccepted,
  BackupCreate,
  BackupQuery,
  CancelResult,
  ChangeIdAnswer,
  ChangeIdQuery,
  Page,
} from '../../contract/index.js';
import { type CallOptions, path, type Transport } from '../transport.js';
import { keyOf, type WorkOptions } from './options.js';

export interface BackupCalls {
  /** Accepts a backup: one job per disk. Wait for each `disk_results[].backup_id` with `waitForJob`. */
  create(body: BackupCreate, options?: WorkOptions): Promise<BackupAccepted>;
  list(query?: BackupQuery, options?: CallOptions): Promise<Page<Backup>>;
  get(id: string, options?: CallOptions): Promise<Backup>;
  /** The change id of the backup that a disk's next one would stand on; nulls when there is none: take a full. */
  changeId(query: ChangeIdQuery, options?: CallOptions): Promise<ChangeIdAnswer>;
  cancel(id: string, options?: CallOptions): Promise<CancelResult>;
}

export function backupCalls(transport: Transport): BackupCalls {
  const base = path('backups');
  return {
    create: (body, options) =>
      transport.call({ method: 'POST', path: base, body, idempotencyKey: keyOf(options) }, options),
    list: (query, options) => transport.call({ method: 'GET', path: base, query }, options),
    get: (id, options) => transport.call({ method: 'GET', path: path('backups', id) }, options),
    changeId: (query, options) =>
      transport.call({ method: 'GET', path: path('backups', 'changeid'), query }, options),
    cancel: (id, options) =>
      transport.call(
        { method: 'POST', path: path('backups', id, 'cancel'), idempotencyKey: keyOf(undefined) },
        options,
      ),
  };
}
