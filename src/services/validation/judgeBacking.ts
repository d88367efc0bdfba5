import { basename, isAbsolute } from 'node:path';
import { backingPath } from '../repository/layout.js';
import type { BackupFacts, ChainFacts } from './facts.js';
import { type Finding, finding, type FindingCode } from './findings.js';

/** Findings on what the image's header says that it stands on. Pure. */
export function judgeBacking(facts: BackupFacts, chain: ChainFacts): Finding[] {
  const { row, header, file, check } = facts;
  const say = (code: FindingCode, message: string) =>
    finding(code, { backupId: row.id, file: row.path }, message);
  if (file.state !== 'present') return [];
  if (header.state === 'unknown') {
    // Where qemu-img check gave a verdict as well, that one is the finding.
    return check.state === 'done' ? [say('unreadable', `The header cannot be read: ${header.reason}`)] : [];
  }
  const findings: Finding[] = [];
  if (header.virtualSize !== row.virtualSize && !row.expired) {
    findings.push(
      say(
        'image_size_differs',
        `The image is a disk of ${header.virtualSize} bytes; the backup has ${row.virtualSize}.`,
      ),
    );
  }
  const parent = chain.backups.find((other) => other.row.id === row.parentId);
  return [...findings, ...judgeReference(facts, parent, chain, say)];
}

function judgeReference(
  { row, header }: BackupFacts,
  parent: BackupFacts | undefined,
  chain: ChainFacts,
  say: (code: FindingCode, message: string) => Finding,
): Finding[] {
  if (header.state !== 'read') return [];
  const { backingName: name, backingFormat: format } = header;
  if (row.parentId === null) {
    return name === undefined
      ? []
      : [say('backing_unexpected', `A full refers to the backing file "${name}".`)];
  }
  // Without the parent's row nothing says what the name ought to be; that is a finding of its own.
  if (!parent) return [];
  const expected = basename(parent.row.path);
  if (name === undefined)
    return [say('backing_missing', `The image has no backing file; it needs "${expected}".`)];
  if (backingPath(chain.root, row.path, name) !== parent.row.path) {
    return [say('backing_wrong', `The image refers to "${name}"; its parent is "${expected}".`)];
  }
  const findings: Finding[] = [];
  if (isAbsolute(name) || name !== expected) {
    findings.push(
      say('backing_absolute', `The image refers to "${name}" and not to "${expected}": a copy would break.`),
    );
  }
  if (format === undefined) {
    findings.push(
      say('backing_format_missing', 'The format of the backing file is not stated: QEMU guesses it.'),
    );
  } else if (format !== 'qcow2') {
    findings.push(say('backing_format_wrong', `The backing file is stated to be ${format}; it is qcow2.`));
  }
  return findings;
}

/**
 * Loops of backing references: one finding for each image of a loop whose reference is not the recorded one; it is what
 * makes the loop. Pure.
 */
export function judgeLoops(chain: ChainFacts): Finding[] {
  const byPath = new Map(chain.backups.map((facts) => [facts.row.path, facts]));
  const next = ({ row, header }: BackupFacts): BackupFacts | undefined =>
    header.state === 'read' && header.backingName !== undefined
      ? byPath.get(backingPath(chain.root, row.path, header.backingName))
      : undefined;
  return chain.backups.flatMap((start) => {
    const { row } = start;
    if (next(start)?.row.id === row.parentId) return [];
    const loop = [row.path];
    const seen = new Set([start]);
    for (let at = next(start); at !== undefined; at = next(at)) {
      if (at === start) {
        const names = [...loop, row.path].map((path) => basename(path)).join(' -> ');
        return [
          finding('backing_loop', { backupId: row.id, file: row.path }, `The references go round: ${names}.`),
        ];
      }
      // A loop further down, which this image only leads into.
      if (seen.has(at)) return [];
      seen.add(at);
      loop.push(at.row.path);
    }
    return [];
  });
}

/**
 * Backups that others are recorded to stand on, and that no image refers to. What lies below such a file is not
 * reached either: only the first is named. Pure.
 */
export function judgeReach(chain: ChainFacts): Finding[] {
  const wanted = new Set(chain.backups.map(({ row }) => row.parentId));
  const referred = new Set<string>();
  for (const { row, header } of chain.backups) {
    if (header.state === 'read' && header.backingName !== undefined) {
      referred.add(backingPath(chain.root, row.path, header.backingName));
    }
    // A header that cannot be read names nothing: that is no finding on its parent.
    const parent =
      header.state === 'unknown' ? chain.backups.find((other) => other.row.id === row.parentId) : undefined;
    if (parent) referred.add(parent.row.path);
  }
  return chain.backups
    .filter(({ row, file }) => file.state === 'present' && wanted.has(row.id) && !referred.has(row.path))
    .map(({ row }) =>
      finding(
        'unreachable',
        { backupId: row.id, file: row.path },
        'The backup above this one does not refer to it.',
      ),
    );
}
