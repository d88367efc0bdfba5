import { asking } from '../transaction.js';
import type { DataSource, EntityManager } from 'typeorm';
import {
  BackupJob,
  type DamageReach,
  type LayerDamage,
  LayerProof,
  type ProofPass,
} from '../../entities/index.js';
import { fencedChange } from '../job/fenced.js';
import type { ChainLease } from '../job/lease.js';

/** What deep validations know of the backups of a chain, by backup id. */
export async function readProofs(
  db: Pick<EntityManager, 'getRepository'>,
  chainId: string,
): Promise<Map<string, LayerProof>> {
  const proofs = await asking(() =>
    db
      .getRepository(LayerProof)
      .createQueryBuilder('p')
      .innerJoin(BackupJob, 'b', 'b.id = p.backupId')
      .where('b.chainId = :chainId', { chainId })
      .getMany(),
  );
  return new Map(proofs.map((proof) => [proof.backupId, proof]));
}

/** What of a restore point is damaged, as the last deep validation has told. */
export async function readReach(
  db: Pick<EntityManager, 'getRepository'>,
  backupId: string,
): Promise<DamageReach | null> {
  const proof = await asking(() =>
    db.getRepository(LayerProof).findOne({ where: { backupId }, select: { backupId: true, reach: true } }),
  );
  return proof?.reach ?? null;
}

/** Notes how far the reading of a file is. @throws lease_lost */
export async function savePass(
  ds: DataSource,
  lease: ChainLease,
  backupId: string,
  pass: ProofPass,
): Promise<void> {
  await fencedChange(ds, lease, (tx) =>
    tx.query(
      `INSERT INTO layer_proofs (backup_id, pass) VALUES (?, ?) ON DUPLICATE KEY UPDATE pass = VALUES(pass)`,
      [backupId, JSON.stringify(pass)],
    ),
  );
}

/** Notes that a file has been read from its beginning to its end, and what was wrong with it. @throws lease_lost */
export async function saveProof(
  ds: DataSource,
  lease: ChainLease,
  backupId: string,
  damage: LayerDamage | null,
): Promise<void> {
  await fencedChange(ds, lease, (tx) =>
    tx.query(
      `INSERT INTO layer_proofs (backup_id, proved_at, damage, pass) VALUES (?, UTC_TIMESTAMP(3), ?, NULL)
       ON DUPLICATE KEY UPDATE proved_at = VALUES(proved_at), damage = VALUES(damage), pass = NULL`,
      [backupId, damage && JSON.stringify(damage)],
    ),
  );
}

/** Notes what of a restore point is damaged, in the transaction that also writes its health. */
export async function saveReach(
  tx: EntityManager,
  backupId: string,
  reach: DamageReach | null,
): Promise<void> {
  if (reach === null) {
    await tx.query('UPDATE layer_proofs SET reach = NULL WHERE backup_id = ? AND reach IS NOT NULL', [
      backupId,
    ]);
    return;
  }
  await tx.query(
    'INSERT INTO layer_proofs (backup_id, reach) VALUES (?, ?) ON DUPLICATE KEY UPDATE reach = VALUES(reach)',
    [backupId, JSON.stringify(reach)],
  );
}
