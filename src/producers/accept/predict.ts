import type { BackupCreate } from '../../contract/index.js';
import type { EntityManager } from '../../db/database.js';
import type { BackupRequest } from '../../entities/index.js';
import { foreseeBackup } from '../../services/chain/index.js';
import type { ChosenDisk } from './chooseDisks.js';

/** What a request asks of one disk. */
interface Asked {
  body: BackupCreate;
  disk: ChosenDisk;
  request: BackupRequest;
  restorePointId: string;
}

/**
 * Foresees the worker's plan on the catalogue as it is now, so that the answer can say that an incremental will be a full
 * and why. Only where no other backup is in front, because that one may change the outcome.
 * @throws chain_broken or change_id_mismatch where the request forbids the full; nothing is accepted then
 */
export async function predictDemotion(
  tx: EntityManager,
  { body, disk, request, restorePointId }: Asked,
  backupsInFront: boolean,
): Promise<{ backup_type: string; demoted_reason: string | null }> {
  if (backupsInFront) return { backup_type: body.backup_type, demoted_reason: null };
  const plan = await foreseeBackup(tx, disk.chainId, {
    requestedType: body.backup_type,
    request,
    sinceChangeId: disk.sinceChangeId,
    virtualSize: disk.virtualSize,
    restorePointId,
  });
  return { backup_type: plan.type, demoted_reason: plan.demotedReason };
}
