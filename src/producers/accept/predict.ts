import type { EntityManager } from '../../db/database.js';
import type { Health } from '../../entities/index.js';
import { planBackup } from '../../services/backup/plan.js';
import type { BackupBody } from './bodies.js';
import type { ChosenDisk } from './chooseDisks.js';

interface Facts {
  id: string | null;
  health: Health | null;
  change_id: string | null;
  virtual_size: string | null;
}

interface ChainFacts {
  tracker_distrust: number;
  backups_since_full: number;
  full_age_ms: string | null;
}

/**
 * Runs the worker's plan on the catalogue as it is now, so that the answer can say that an incremental will be a full
 * and why. Only told where no other job is in front, because an earlier job may change the outcome.
 * @throws chain_broken or change_id_mismatch where the request forbids the full; nothing is accepted then
 */
export async function predictDemotion(
  tx: EntityManager,
  body: BackupBody,
  disk: ChosenDisk,
  backupId: string,
): Promise<{ backup_type: string; demoted_reason: string | null }> {
  const inFront = await tx.query<{ n: string }[]>(
    `SELECT COUNT(*) AS n FROM backup_jobs WHERE chain_id = ? AND id <> ? AND status IN ('queued', 'released', 'running')`,
    [disk.chainId, backupId],
  );
  if (Number(inFront[0]?.n ?? 0) > 0) return { backup_type: body.backup_type, demoted_reason: null };
  const chains = await tx.query<ChainFacts[]>(
    `SELECT tracker_distrust, backups_since_full,
            TIMESTAMPDIFF(MICROSECOND, full_at, UTC_TIMESTAMP(3)) DIV 1000 AS full_age_ms FROM backup_chains WHERE id = ?`,
    [disk.chainId],
  );
  const chain = chains[0];
  const [latest, segmentFull] = await Promise.all(
    ['latest_backup_id', 'full_backup_id'].map(async (column) => {
      const rows = await tx.query<Facts[]>(
        `SELECT b.id, b.health, b.change_id, b.virtual_size FROM backup_chains c JOIN backup_jobs b ON b.id = c.${column} WHERE c.id = ?`,
        [disk.chainId],
      );
      return toParent(rows[0]);
    }),
  );
  const plan = planBackup({
    requestedType: body.backup_type,
    onBrokenChain: body.on_broken_chain ?? 'full',
    tracker: disk.extents ? 'extents' : disk.source.type === 'nbd' && disk.source.bitmap ? 'bitmap' : 'none',
    trackerDistrusted: Number(chain?.tracker_distrust ?? 0) > 0,
    sinceChangeId: disk.sinceChangeId,
    // Unknown before the source is opened: assume that the disk has kept its size.
    virtualSize: disk.virtualSize ?? Number.MAX_SAFE_INTEGER,
    segmentFull: segmentFull ?? null,
    latest: latest ?? null,
    damagedBelow: false,
    lineageBroken: false,
    depth: 0,
    fullEvery: body.full_every,
    fullAfterDays: body.full_after_days,
    backupsSinceFull: Number(chain?.backups_since_full ?? 0),
    fullAgeMs: chain?.full_age_ms == null ? null : Number(chain.full_age_ms),
  });
  return { backup_type: plan.type, demoted_reason: plan.demotedReason };
}

function toParent(facts: Facts | undefined) {
  if (!facts?.id || !facts.health) return null;
  return {
    id: facts.id,
    health: facts.health,
    changeId: facts.change_id,
    virtualSize: Number(facts.virtual_size ?? 0),
  };
}
