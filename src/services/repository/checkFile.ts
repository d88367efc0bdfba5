import { dirname } from 'node:path';
import { checkImage, type ImageInfo } from '../../qcow2/index.js';
import { isStrataError } from '../../shared/errors.js';
import { explainLock } from './lockedFile.js';
import { imageTrouble, whyUnreadable } from './trouble.js';

/** `corrupt`: QEMU cannot make sense of a file of which every byte can be read. */
export type CheckFact =
  | { state: 'done'; corruptions: number; leaks: number }
  | { state: 'corrupt'; reason: string }
  | { state: 'unreadable'; reason: string }
  | { state: 'skipped' };

/**
 * Runs `qemu-img check` on one image. A failure counts as corruption only when it happens again after every byte of the
 * file was read without trouble: a passing I/O error is not damage.
 */
export async function checkFile(path: string, signal: AbortSignal): Promise<CheckFact> {
  const first = await tryCheck(path, signal);
  if (first.state === 'done') return first;
  if (first.inUse) return { state: 'unreadable', reason: first.reason };
  const reason = await whyUnreadable(path, signal);
  if (reason !== undefined) return { state: 'unreadable', reason };
  const second = await tryCheck(path, signal);
  if (second.state === 'done') return second;
  return { state: second.inUse ? 'unreadable' : 'corrupt', reason: second.reason };
}

type Tried = Extract<CheckFact, { state: 'done' }> | { state: 'failed'; inUse: boolean; reason: string };

async function tryCheck(path: string, signal: AbortSignal): Promise<Tried> {
  try {
    const { corruptions, leaks, checkErrors } = await checkImage(path, { signal, idle: 'disk' });
    if (checkErrors === 0) return { state: 'done', corruptions, leaks };
    const reason = `qemu-img check met ${checkErrors} errors and did not come to an end`;
    return { state: 'failed', inUse: false, reason };
  } catch (error) {
    const { code } = imageTrouble(error);
    const reason = await reasonOf(error, path);
    return { state: 'failed', inUse: code === 'source_in_use' || code === 'file_missing', reason };
  }
}

/** Why a QEMU tool could not use an image; of a lock with whoever has it. */
export async function reasonOf(error: unknown, path: string): Promise<string> {
  const { reason } = imageTrouble(error);
  const explained = await explainLock(error, dirname(path));
  return isStrataError(explained, 'repository_file_in_use') ? explained.message : reason;
}

/** Whether files stand on each other as the catalogue says: the very files, in that order, and each taken for QCOW2. Pure. */
export function isRecordedChain(found: readonly ImageInfo[], recorded: readonly string[]): boolean {
  return (
    found.length === recorded.length &&
    found.every(({ filename, format }, depth) => filename === recorded[depth] && format === 'qcow2')
  );
}
