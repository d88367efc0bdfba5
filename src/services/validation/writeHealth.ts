import type { completeWithResult } from '../../db/job/settle.js';
import { recordEvents } from '../../db/job/events.js';
import { saveReach } from '../../db/chain/layerProofs.js';
import type { Health } from '../../entities/index.js';
import { storedReach } from './deep/knownDamage.js';
import type { ChainFacts } from './facts.js';
import type { BackupVerdict, ValidationReport } from './judge.js';

type Transaction = Parameters<NonNullable<Parameters<typeof completeWithResult>[3]>>[0];

/** Ids in one statement; keeps it far below the server's packet limit. */
const IDS_AT_ONCE = 500;

/**
 * Writes what a validation found to the backups and their chain, and tells of backups that have become damaged and of those
 * that no longer are.
 */
export async function writeHealth(
  tx: Transaction,
  { backups }: ChainFacts,
  report: ValidationReport,
): Promise<void> {
  const chainId = backups[0]?.row.chainId;
  if (chainId === undefined) return;
  const verdicts = [...report.backups, ...report.carriers];
  for (const health of ['ok', 'suspect', 'damaged'] satisfies Health[]) {
    for (const located of [false, true]) await setHealth(tx, chainId, verdicts, health, located);
  }
  for (const { row, proof } of backups) await saveReach(tx, row.id, storedReach(proof.reach));
  await settleProofs(tx, backups);
  await noteUnproved(tx, backups);
  await tx.query('UPDATE backup_chains SET health = ?, last_validated_at = UTC_TIMESTAMP(3) WHERE id = ?', [
    report.chain_health,
    chainId,
  ]);
  await tellChanges(tx, backups, report.backups);
}

async function setHealth(
  tx: Transaction,
  chainId: string,
  backups: readonly BackupVerdict[],
  health: Health,
  located: boolean,
): Promise<void> {
  const ids = backups.flatMap((one) =>
    one.health === health && one.located === located ? [one.backup_id] : [],
  );
  for (let from = 0; from < ids.length; from += IDS_AT_ONCE) {
    await tx.query(
      `UPDATE backup_jobs SET health = ?, damage_located = ? WHERE chain_id = ? AND status IN ('completed', 'expired') AND id IN (?)`,
      [health, located ? 1 : 0, chainId, ids.slice(from, from + IDS_AT_ONCE)],
    );
  }
}

/** What was read without an index, and wrong, is wrong until a reading disproves or locates it: no quick check sees it. */
async function noteUnproved(tx: Transaction, backups: ChainFacts['backups']): Promise<void> {
  const ids = backups.flatMap(({ row, read }) => (read?.state === 'unproved' ? [row.id] : []));
  for (const id of ids) {
    await tx.query('UPDATE backup_jobs SET content_wrong_at = UTC_TIMESTAMP(3) WHERE id = ?', [id]);
  }
}

/** What was once read wrong has been located or disproved. */
async function settleProofs(tx: Transaction, backups: ChainFacts['backups']): Promise<void> {
  for (const { row, proof } of backups) {
    if (row.contentWrongAt === null || !proof.settled) continue;
    await tx.query('UPDATE backup_jobs SET content_wrong_at = NULL WHERE id = ? AND content_wrong_at = ?', [
      row.id,
      row.contentWrongAt,
    ]);
  }
}

async function tellChanges(
  tx: Transaction,
  backups: ChainFacts['backups'],
  verdicts: readonly BackupVerdict[],
): Promise<void> {
  const now = new Map(verdicts.map(({ backup_id, health }) => [backup_id, health]));
  await recordEvents(
    tx,
    backups.flatMap(({ row, proof }) => {
      const isWrong = row.contentWrongAt !== null;
      const was = row.health === 'damaged' || isWrong;
      const is = now.get(row.id) === 'damaged' || (isWrong && !proof.settled);
      if (was === is || row.expired) return [];
      return [{ type: is ? ('backup.damaged' as const) : ('backup.cleared' as const), subjectId: row.id }];
    }),
  );
}
