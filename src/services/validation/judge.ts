import type { Health } from '../../entities/index.js';
import type { BackupFacts, ChainFacts } from './facts.js';
import { type Finding, finding, FINDINGS, worst } from './findings.js';
import { judgeBacking, judgeLoops, judgeReach } from './judgeBacking.js';
import { judgeDirectory } from './judgeDirectory.js';
import { judgeFile } from './judgeFile.js';
import { judgeSidecars } from './judgeSidecars.js';
import { byId, lineageOf } from './lineage.js';

/** What a validation found; the `result` of its job. */
export interface ValidationReport {
  level: 'quick';
  /** No finding is an error. */
  healthy: boolean;
  /** Images that qemu-img check gave a verdict on. */
  checked_files: number;
  findings: Finding[];
  /** Backups whose restore would be wrong or is refused, by their own file or by one that they stand on. */
  affected: string[];
  /** Every completed backup of the chain, oldest first. */
  backups: { backup_id: string; health: Health }[];
  /** The worst health of its backups; at least `suspect` when there is any error. */
  chain_health: Health;
}

/** Decides what the facts mean. Pure: the same facts give the same report. */
export function judge(chain: ChainFacts): ValidationReport {
  const findings = [
    ...chain.backups.flatMap((facts) => [
      ...judgeFile(facts, chain.backups),
      ...judgeBacking(facts, chain),
      ...judgeSidecars(facts, chain),
    ]),
    ...judgeLoops(chain),
    ...judgeLineage(chain),
    ...judgeReach(chain),
    ...judgeDirectory(chain),
  ];
  const backups = healthOfAll(chain, findings);
  const healthy = !findings.some(({ severity }) => severity === 'error');
  return {
    level: 'quick',
    healthy,
    checked_files: chain.backups.filter(({ check }) => check.state === 'done' || check.state === 'corrupt')
      .length,
    findings,
    affected: backups.filter(({ health }) => health !== 'ok').map(({ backup_id }) => backup_id),
    backups,
    chain_health: worst([...backups.map(({ health }) => health), healthy ? 'ok' : 'suspect']),
  };
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

/** A backup is as bad as its own file; one that stands on a bad file is suspect, as its own file is what it was. */
function healthOfAll(chain: ChainFacts, findings: readonly Finding[]): ValidationReport['backups'] {
  const own = new Map(chain.backups.map((facts) => [facts.row.id, ownHealth(facts, findings)]));
  const rows = byId(chain.backups.map(({ row }) => row));
  const points = chain.backups.filter(({ row }) => !row.expired);
  return points.map(({ row }) => {
    const below = lineageOf(rows, row.id).layers.slice(1);
    const standsOnBad = below.some(({ id }) => own.get(id) !== 'ok');
    return { backup_id: row.id, health: worst([own.get(row.id) ?? 'ok', standsOnBad ? 'suspect' : 'ok']) };
  });
}

function ownHealth({ row }: BackupFacts, findings: readonly Finding[]): Health {
  const mine = findings.filter((one) => one.backup_id === row.id);
  // What could not be looked at has not been cleared of what was found before.
  const keep = row.health === 'damaged' && mine.some(({ code }) => code === 'unreadable');
  return keep ? 'damaged' : worst(mine.map(({ code }) => FINDINGS[code].verdict));
}
