import type { ReachedRange } from '../chain/index.js';
import type { BackupFacts } from './facts.js';
import { type Finding, finding, type FindingCode } from './findings.js';
import { nameRanges } from '../../shared/ranges.js';

type Say = (code: FindingCode, message: string) => Finding;

/** Findings on the content: what this deep validation or one before has read. Pure. */
export function judgeContent(facts: BackupFacts): Finding[] {
  const { row, proof } = facts;
  const say: Say = (code, message) => finding(code, { backupId: row.id, file: row.path }, message);
  const findings: Finding[] = [];
  // Of an expired backup only counts what reaches the points above it: it may be the base of a merge that was cut.
  if (row.expired) return judgeReading(facts, say);
  const { wrong, unproved } = proof.damage;
  if (wrong.length > 0)
    findings.push(
      say('data_damaged', `The file holds other content than was written: ${nameRanges(wrong)}.`),
    );
  if (unproved.length > 0)
    findings.push(say('data_unreadable', `The disk does not give ${nameRanges(unproved)}.`));
  return [...findings, ...judgeReach(facts, say), ...judgeReading(facts, say), ...judgeProof(facts, say)];
}

/** What lies in the files below and shows in the restore point. */
function judgeReach({ row, proof }: BackupFacts, say: Say): Finding[] {
  const below = (ranges: readonly ReachedRange[]) => ranges.filter(({ backupId }) => backupId !== row.id);
  const wrong = below(proof.reach.wrong);
  const unproved = below(proof.reach.unproved);
  const findings: Finding[] = [];
  if (wrong.length > 0) {
    findings.push(
      say('data_below_damaged', `A restore has wrong content in ${nameRanges(wrong)} of ${filesOf(wrong)}.`),
    );
  }
  if (unproved.length > 0) {
    findings.push(
      say('data_below_unreadable', `A restore needs ${nameRanges(unproved)} of ${filesOf(unproved)}.`),
    );
  }
  return findings;
}

function judgeReading({ read, row }: BackupFacts, say: Say): Finding[] {
  switch (read?.state) {
    case 'rebuilt':
      return [
        say('digests_rebuilt', 'The image was read and has the recorded content: its index was rebuilt.'),
      ];
    case 'unproved':
      return [
        say('content_unproved', `Read without an index, the image has not the content id ${row.contentId}.`),
      ];
    case 'skipped':
      return [say('not_read', `The file was not compared: ${read.reason}.`)];
    case 'read':
    case 'fresh':
    case 'not_yet':
    case undefined:
      return [];
  }
}

function judgeProof({ row, proof, read }: BackupFacts, say: Say): Finding[] {
  if (row.contentWrongAt === null || proof.settled || read?.state === 'unproved') return [];
  const at = row.contentWrongAt.toISOString();
  return [say('content_wrong', `At ${at} other content was read than was backed up.`)];
}

function filesOf(ranges: readonly ReachedRange[]): string {
  return [...new Set(ranges.map(({ backupId }) => backupId))].join(', ');
}
