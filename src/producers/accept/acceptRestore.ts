import { takePosition } from '../../db/jobs/position.js';
import type { Health, JobStatus, RestoreFormat, RestoreTarget } from '../../entities/index.js';
import { StrataError } from '../../shared/errors.js';
import { newId } from '../../shared/ids.js';
import type { AcceptDeps, Idempotency } from './deps.js';
import { acceptOnce } from './once.js';
import { checkPathUnder } from './source.js';

export interface RestoreBody {
  backup_id: string;
  target: RestoreTarget;
  format: RestoreFormat;
  verify?: boolean;
}

export interface RestoreAnswer {
  restore_id: string;
  status: 'queued' | 'released';
}

interface BackupRow {
  chain_id: string;
  repository_id: string;
  status: JobStatus;
  health: Health;
  pool: string;
}

/**
 * Accepts a restore of one backup to a file or block device. Whether the target is free is seen by the worker, whose
 * host writes it.
 * @throws wrong_state when the backup has not completed
 * @throws backup_damaged when it is known to be damaged
 */
export async function acceptRestore(
  deps: AcceptDeps,
  body: RestoreBody,
  idempotency?: Idempotency,
): Promise<RestoreAnswer> {
  checkPathUnder(body.target.path, deps.settings.restoreRoots, 'target.path', 'STRATA_RESTORE_ROOTS');
  return acceptOnce(deps, idempotency, async (tx) => {
    const rows = await tx.query<BackupRow[]>(
      `SELECT b.chain_id, b.repository_id, b.status, b.health, r.pool FROM backup_jobs b
       JOIN repositories r ON r.id = b.repository_id WHERE b.id = ?`,
      [body.backup_id],
    );
    const backup = rows[0];
    if (!backup)
      throw new StrataError('not_found', `There is no backup ${body.backup_id}.`, { field: 'backup_id' });
    assertRestorable(backup, body.backup_id);
    const { seq, status } = await takePosition(tx, backup.chain_id);
    const id = newId('rst', deps.clock.now());
    await tx.query(
      `INSERT INTO restore_jobs (id, chain_id, seq, status, created_at, repository_id, backup_id, target, format, verify)
       VALUES (?, ?, ?, ?, UTC_TIMESTAMP(3), ?, ?, ?, ?, ?)`,
      [
        id,
        backup.chain_id,
        seq,
        status,
        backup.repository_id,
        body.backup_id,
        JSON.stringify(body.target),
        body.format,
        (body.verify ?? true) ? 1 : 0,
      ],
    );
    const delivery = {
      kind: 'restore' as const,
      jobId: id,
      pool: backup.pool,
      delivery: 1,
      delayMs: 0,
      priority: 0,
    };
    return { answer: { restore_id: id, status }, deliveries: status === 'released' ? [delivery] : [] };
  });
}

function assertRestorable(backup: BackupRow, id: string): void {
  if (backup.status !== 'completed') {
    throw new StrataError(
      'wrong_state',
      `Backup ${id} is ${backup.status}; only a completed one can be restored.`,
      {
        field: 'backup_id',
      },
    );
  }
  if (backup.health === 'damaged') {
    throw new StrataError('backup_damaged', `Backup ${id} is damaged; validate the chain to see where.`, {
      field: 'backup_id',
    });
  }
}
