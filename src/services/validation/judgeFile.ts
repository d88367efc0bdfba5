import type { BackupFacts } from './facts.js';
import { type Finding, finding, type FindingCode } from './findings.js';

/** Times of a manifest are whole or fractional milliseconds, as its writer had them. */
const SAME_TIME_MS = 1;
/** From the manifest's name to the image's, and to the removal of the temporary ones: a slow disk flushes in between. */
const PUBLISHED_WITHIN_MS = 60_000;

/** Findings on the image as a file, and on what qemu-img check says of it. Pure. */
export function judgeFile(facts: BackupFacts, all: readonly BackupFacts[]): Finding[] {
  const { row, file, check } = facts;
  const say = (code: FindingCode, message: string) =>
    finding(code, { backupId: row.id, file: row.path }, message);
  if (file.state === 'missing')
    return [say('file_missing', 'The catalogue has this backup; its file is gone.')];
  if (file.state === 'unreadable') return [say('unreadable', `The file cannot be read: ${file.reason}.`)];
  return [...judgeChange(facts, all, say), ...judgeCheck(check, facts, say)];
}

type Say = (code: FindingCode, message: string) => Finding;

/** Length and time against the manifest: who touches a published file is not Strata. */
function judgeChange(facts: BackupFacts, all: readonly BackupFacts[], say: Say): Finding[] {
  const { file, manifest } = facts;
  if (file.state !== 'present' || manifest.state !== 'read' || sidecarOfOther(facts)) return [];
  if (facts.row.expired) return [];
  const { file_length: length, file_mtime_ms: mtimeMs } = manifest.value;
  if (file.length === length && sameTime(file.mtimeMs, mtimeMs)) return judgeChangeTime(facts, say);
  const other = all.find((candidate) => candidate !== facts && hasFileOf(facts, candidate));
  if (other) return [say('file_swapped', `The file is that of backup ${other.row.id} (${other.row.path}).`)];
  if (file.length < length) {
    return [say('file_truncated', `The file has ${file.length} bytes; it was published with ${length}.`)];
  }
  if (file.length > length) {
    return [
      say(
        'file_grown',
        `The file has ${file.length} bytes; it was published with ${length}: it was written to.`,
      ),
    ];
  }
  const now = new Date(file.mtimeMs).toISOString();
  return [say('file_touched', `The file was changed at ${now}, after ${new Date(mtimeMs).toISOString()}.`)];
}

/**
 * A file that was written to, and whose time of writing was set back afterwards, has a later change time than its manifest, which
 * was published with it. What has been read and compared since is proved, whoever has touched it.
 */
function judgeChangeTime({ file, manifestCtimeMs, proof }: BackupFacts, say: Say): Finding[] {
  if (file.state !== 'present' || manifestCtimeMs === null) return [];
  const known = Math.max(manifestCtimeMs + PUBLISHED_WITHIN_MS, proof.provedAt?.getTime() ?? 0);
  if (file.ctimeMs <= known) return [];
  const message = `The file's content, name or mode was changed at ${new Date(file.ctimeMs).toISOString()}, although its time of writing is that of before.`;
  return [say('file_touched', message)];
}

/**
 * The first cluster against the manifest: to be asked where nothing else is wrong with the image, so that what differs is
 * nothing that QEMU reads. Pure.
 */
export function judgeHeader(facts: BackupFacts): Finding[] {
  const { row, file, manifest } = facts;
  if (file.state !== 'present' || manifest.state !== 'read' || sidecarOfOther(facts) || row.expired)
    return [];
  const { header_sha256: expected } = manifest.value;
  if (expected === undefined || expected === file.header) return [];
  const message =
    'The first 64 KiB of the file are not those that were published, in bits that QEMU does not read.';
  return [finding('header_changed', { backupId: row.id, file: row.path }, message)];
}

/** Length and time together are those that another backup was published with: the file was moved here. */
function hasFileOf({ file }: BackupFacts, { manifest }: BackupFacts): boolean {
  return (
    file.state === 'present' &&
    manifest.state === 'read' &&
    file.length === manifest.value.file_length &&
    sameTime(file.mtimeMs, manifest.value.file_mtime_ms)
  );
}

/**
 * A manifest that was moved here, or put back from before a merge, says nothing about this file: a merge changes what the file
 * stands on. That the two differ is a finding on the manifest alone.
 */
function sidecarOfOther({ row, manifest }: BackupFacts): boolean {
  if (manifest.state !== 'read') return false;
  const { backup_id: id, parent_backup_id: parent, backup_type: type, next } = manifest.value;
  const isOfOtherTime = next === undefined && (parent !== row.parentId || type !== row.type);
  return id !== row.id || isOfOtherTime;
}

function sameTime(a: number, b: number): boolean {
  return Math.abs(a - b) < SAME_TIME_MS;
}

function judgeCheck(check: BackupFacts['check'], facts: BackupFacts, say: Say): Finding[] {
  switch (check.state) {
    case 'corrupt':
      return [
        say('image_corrupt', `QEMU cannot use the file, although all of it can be read: ${check.reason}`),
      ];
    case 'unreadable':
      return [say('unreadable', `The file cannot be checked: ${check.reason}`)];
    case 'skipped':
      return [];
    case 'done': {
      const findings: Finding[] = [];
      const flagged = facts.header.state === 'read' && facts.header.corrupt;
      if (check.corruptions > 0 || flagged) {
        const bit = flagged ? ' QEMU has set the corrupt bit.' : '';
        findings.push(say('image_corrupt', `qemu-img check found ${check.corruptions} corruptions.${bit}`));
      } else if (check.leaks > 0)
        findings.push(say('image_leaks', `${check.leaks} clusters are used by nothing.`));
      return findings;
    }
  }
}
