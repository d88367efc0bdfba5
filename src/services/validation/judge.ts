import { byId, isDamagedAsWhole, lineageOf, type ReachedRange, worst } from '../chain/index.js';
import type { Health } from '../../entities/index.js';
import type { BackupFacts, ChainFacts } from './facts.js';
import type { Extent } from '../../shared/extents.js';
import { NEXT_STEPS } from './nextSteps.js';
import { type Finding, finding, type FindingCode, type FindingKind, FINDINGS } from './findings.js';
import { judgeContent } from './judgeContent.js';
import { judgeBacking, judgeLoops, judgeReach } from './judgeBacking.js';
import { judgeDirectory } from './judgeDirectory.js';
import { judgeFile, judgeHeader } from './judgeFile.js';
import { judgeSidecars } from './judgeSidecars.js';

/** A backup in the report. Ranges are bytes of the guest disk, in order. */
export interface BackupVerdict {
  backup_id: string;
  health: Health;
  /** The health comes of `affected` alone, and does not reach those that stand on this backup. */
  located: boolean;
  /** When its file had last been read to its end; null: never, or not since it was published. */
  proved_at: string | null;
  /** What is wrong with its own file, and what the disk does not give of it. */
  damaged: Extent[];
  unreadable: Extent[];
  /** What a restore of it would have wrong, and in which backup's file that is. */
  affected: ReachedView[];
  affected_unreadable: ReachedView[];
}

export interface ReachedView extends Extent {
  in_backup: string;
}

/** What a validation found; the `result` of its job. */
export interface ValidationReport {
  level: 'quick' | 'deep';
  /** No finding is an error. */
  healthy: boolean;
  /** Images that qemu-img check gave a verdict on. */
  checked_files: number;
  findings: Finding[];
  /** Backups whose restore would be wrong or is refused, by their own file or by one that they stand on. */
  affected: string[];
  /** Every completed backup of the chain, oldest first. */
  backups: BackupVerdict[];
  /** Expired backups whose files restore points still stand on. */
  carriers: BackupVerdict[];
  /** The worst health of its backups; at least `suspect` when there is any error. */
  chain_health: Health;
  /** What to do about each code among the findings. */
  next_steps: { code: FindingCode; do: string }[];
  /** Of a deep validation: what was read this time, and whether anything is left for another. */
  read?: { files: number; bytes: number; complete: boolean };
}

/** Decides what the facts mean. Pure: the same facts give the same report. */
export function judge(chain: ChainFacts, level: ValidationReport['level'] = 'quick'): ValidationReport {
  const findings = [
    ...chain.backups.flatMap((facts) => [
      ...judgeImage(facts, chain),
      ...judgeSidecars(facts, chain),
      ...judgeContent(facts),
    ]),
    ...judgeLoops(chain),
    ...judgeLineage(chain),
    ...judgeReach(chain),
    ...judgeDirectory(chain),
  ];
  const verdicts = healthOfAll(chain, findings);
  const expired = new Set(chain.backups.flatMap(({ row }) => (row.expired ? [row.id] : [])));
  const backups = verdicts.filter(({ backup_id }) => !expired.has(backup_id));
  const healthy = !findings.some(({ severity }) => severity === 'error');
  return {
    level,
    healthy,
    checked_files: chain.backups.filter(({ check }) => check.state === 'done' || check.state === 'corrupt')
      .length,
    findings,
    affected: backups.filter(({ health }) => health !== 'ok').map(({ backup_id }) => backup_id),
    backups,
    carriers: verdicts.filter(({ backup_id }) => expired.has(backup_id)),
    chain_health: worst([...backups.map(({ health }) => health), healthy ? 'ok' : 'suspect']),
    next_steps: [...new Set(findings.map(({ code }) => code))].map((code) => ({
      code,
      do: NEXT_STEPS[code],
    })),
  };
}

function judgeImage(facts: BackupFacts, chain: ChainFacts): Finding[] {
  const findings = [...judgeFile(facts, chain.backups), ...judgeBacking(facts, chain)];
  return findings.some(({ severity }) => severity === 'error')
    ? findings
    : [...findings, ...judgeHeader(facts)];
}

function judgeLineage(chain: ChainFacts): Finding[] {
  const rows = byId(chain.backups.map(({ row }) => row));
  return [...rows.values()].flatMap((row) => {
    const { broken } = lineageOf(rows, row.id);
    if (broken === undefined) return [];
    return [
      finding('lineage_broken', { backupId: row.id }, `The catalogue does not lead to a full: ${broken}.`),
    ];
  });
}

/**
 * A backup is as bad as its own file and what of the damage below reaches it; one that stands on a file which is bad as a
 * whole is suspect, as its own file is what it was.
 */
function healthOfAll(chain: ChainFacts, findings: readonly Finding[]): BackupVerdict[] {
  const own = new Map(chain.backups.map((facts) => [facts.row.id, ownHealth(facts, findings)]));
  const rows = byId(chain.backups.map(({ row }) => row));
  return chain.backups.map(({ row, proof }) => {
    const below = lineageOf(rows, row.id).layers.slice(1);
    const standsOnBad = below.some(({ id }) => own.get(id)?.whole !== 'ok');
    const { whole, located } = own.get(row.id) ?? { whole: 'ok', located: 'ok' };
    return {
      backup_id: row.id,
      health: worst([whole, located, standsOnBad ? 'suspect' : 'ok']),
      located: located !== 'ok' && whole === 'ok',
      proved_at: proof.provedAt?.toISOString() ?? null,
      damaged: proof.damage.wrong,
      unreadable: proof.damage.unproved,
      affected: proof.reach.wrong.map(toView),
      affected_unreadable: proof.reach.unproved.map(toView),
    };
  });
}

function toView({ offset, length, backupId }: ReachedRange): ReachedView {
  return { offset, length, in_backup: backupId };
}

/** `whole`: as a file, which all that stand on it feel. `located`: by ranges. */
function ownHealth(
  { row, proof }: BackupFacts,
  findings: readonly Finding[],
): Record<'whole' | 'located', Health> {
  const mine = findings.filter((one) => one.backup_id === row.id);
  const by = (located: boolean) =>
    worst(
      mine.flatMap(({ code }) => {
        const kind: FindingKind = FINDINGS[code];
        return (kind.located === true) === located ? [kind.verdict] : [];
      }),
    );
  // What could not be looked at has not been cleared of what was found before; nor does a quick check, which reads no
  // content, clear what was read wrong as a whole.
  const isOpen =
    mine.some(({ code }) => code === 'unreadable') || (row.contentWrongAt !== null && !proof.settled);
  const keep = isDamagedAsWhole(row) && isOpen;
  return { whole: keep ? 'damaged' : by(false), located: by(true) };
}
