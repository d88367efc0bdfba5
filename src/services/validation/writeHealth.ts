import { clearWrongContent, noteValidated, noteWrongContent, setHealth } from '../../db/chain/health.js';
import type { EntityManager } from '../../db/database.js';
import { storedReach } from '../chain/index.js';
import { recordEvents } from '../../db/job/events.js';
import { saveReach } from '../../db/chain/layerProofs.js';
import type { Health } from '../../entities/index.js';
import type { ChainFacts } from './facts.js';
import type { BackupVerdict, ValidationReport } from './judge.js';

/**
 * Writes what a validation found to the backups and their chain, and tells of backups that have become damaged and of those
 * that no longer are.
 */
export async function writeHealth(
  tx: EntityManager,
  { backups }: ChainFacts,
  report: ValidationReport,
): Promise<void> {
  const chainId = backups[0]?.row.chainId;
  if (chainId === undefined) return;
  const verdicts = [...report.backups, ...report.carriers];
  for (const health of ['ok', 'suspect', 'damaged'] satisfies Health[]) {
    for (const located of [false, true]) {
      const ids = verdicts.filter((one) => one.health === health && one.located === located);
      await setHealth(
        tx,
        chainId,
        ids.map(({ backup_id }) => backup_id),
        { health, located },
      );
    }
  }
  for (const { row, proof } of backups) await saveReach(tx, row.id, storedReach(proof.reach));
  await settleProofs(tx, backups);
  await noteUnproved(tx, backups);
  await noteValidated(tx, chainId, report.chain_health);
  await tellChanges(tx, backups, report.backups);
}

/** What was read without an index, and wrong, is wrong until a reading disproves or locates it: no quick check sees it. */
async function noteUnproved(tx: EntityManager, backups: ChainFacts['backups']): Promise<void> {
  for (const { row, read } of backups) if (read?.state === 'unproved') await noteWrongContent(tx, row.id);
}

/** What was once read wrong has been located or disproved. */
async function settleProofs(tx: EntityManager, backups: ChainFacts['backups']): Promise<void> {
  for (const { row, proof } of backups) {
    if (row.contentWrongAt !== null && proof.settled) await clearWrongContent(tx, row.id, row.contentWrongAt);
  }
}

async function tellChanges(
  tx: EntityManager,
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
