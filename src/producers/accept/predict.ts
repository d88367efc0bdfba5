import type { BackupCreate } from '../../contract/index.js';
import type { EntityManager } from '../../db/database.js';
import type { Health } from '../../entities/index.js';
import { type ParentFacts, planBackup, trackerOf } from '../../services/backup/plan.js';
import type { ChosenDisk } from './chooseDisks.js';

interface Facts {
  size_changes: number;
  latest_size_changes: number | null;
  full_size_changes: number | null;
  tracker_distrust: number;
  backups_since_full: number;
  full_age_ms: string | null;
  latest_id: string | null;
  latest_health: Health;
  latest_located: number;
  latest_change_id: string | null;
  latest_size: string | null;
  full_id: string | null;
  full_health: Health;
  full_located: number;
  full_change_id: string | null;
  full_size: string | null;
}

/**
 * Runs the worker's plan on the catalogue as it is now, so that the answer can say that an incremental will be a full
 * and why. Only told where no other job is in front, because an earlier job may change the outcome.
 * @throws chain_broken or change_id_mismatch where the request forbids the full; nothing is accepted then
 */
export async function predictDemotion(
  tx: EntityManager,
  body: BackupCreate,
  disk: ChosenDisk,
  backupsInFront: boolean,
): Promise<{ backup_type: string; demoted_reason: string | null }> {
  if (backupsInFront) return { backup_type: body.backup_type, demoted_reason: null };
  const [facts] = await tx.query<Facts[]>(
    `SELECT d.size_changes, l.size_changes AS latest_size_changes, f.size_changes AS full_size_changes, c.tracker_distrust, c.backups_since_full,
            TIMESTAMPDIFF(MICROSECOND, c.full_at, UTC_TIMESTAMP(3)) DIV 1000 AS full_age_ms,
            l.id AS latest_id, l.health AS latest_health, l.damage_located AS latest_located,
            l.change_id AS latest_change_id, l.virtual_size AS latest_size,
            f.id AS full_id, f.health AS full_health, f.damage_located AS full_located, f.change_id AS full_change_id,
            f.virtual_size AS full_size
     FROM backup_chains c JOIN vm_disks d ON d.vm_context_id = c.vm_context_id AND d.disk_id = c.disk_id
     LEFT JOIN backup_jobs l ON l.id = c.latest_backup_id
     LEFT JOIN backup_jobs f ON f.id = c.full_backup_id WHERE c.id = ?`,
    [disk.chainId],
  );
  const plan = planBackup({
    requestedType: body.backup_type,
    onBrokenChain: body.on_broken_chain ?? 'full',
    tracker: trackerOf({ has_extents: disk.extents !== null || disk.extentsFollow, source: disk.source }),
    trackerDistrusted: Number(facts?.tracker_distrust ?? 0) > 0,
    sinceChangeId: disk.sinceChangeId,
    // Unknown before the source is opened: assume that the bitmap is there, and that the disk has kept its size.
    bitmapMissing: false,
    virtualSize: disk.virtualSize ?? keptSize(body.backup_type, facts),
    sizeChanges: facts ? Number(facts.size_changes) : null,
    segmentFull: facts ? toParent(facts, 'full') : null,
    latest: facts ? toParent(facts, 'latest') : null,
    damagedBelow: false,
    suspectBelow: false,
    lineageBroken: false,
    depth: 0,
    fullEvery: body.full_every,
    fullAfterDays: body.full_after_days,
    backupsSinceFull: Number(facts?.backups_since_full ?? 0),
    fullAgeMs: facts?.full_age_ms == null ? null : Number(facts.full_age_ms),
  });
  return { backup_type: plan.type, demoted_reason: plan.demotedReason };
}

function nullOr(value: number | null): number | null {
  return value === null ? null : Number(value);
}

/** The size of the backup that it would stand on. */
function keptSize(type: BackupCreate['backup_type'], facts: Facts | undefined): number {
  return Number((type === 'differential' ? facts?.full_size : facts?.latest_size) ?? 0);
}

function toParent(facts: Facts, which: 'latest' | 'full'): ParentFacts | null {
  const id = facts[`${which}_id`];
  if (id === null) return null;
  const health = facts[`${which}_health`];
  // What is damaged by ranges may be healed, and what is suspected is looked at again: only the worker knows.
  const open = health === 'suspect' || Number(facts[`${which}_located`]) === 1;
  return {
    id,
    health: open ? 'ok' : health,
    changeId: facts[`${which}_change_id`],
    virtualSize: Number(facts[`${which}_size`] ?? 0),
    sizeChanges: nullOr(facts[`${which}_size_changes`]),
  };
}
