import { dirname, join, relative } from 'node:path';
import { chainInfo, checkImage, type ImageInfo, imageInfo } from '../../qcow2/index.js';
import { isStrataError } from '../../shared/errors.js';
import { explainLock } from '../repository/lockedFile.js';
import type { BackupRow, CheckFact, FileFact, HeaderFact } from './facts.js';
import { byId, lineageOf, tipsOf } from './lineage.js';
import { imageTrouble, whyUnreadable } from './trouble.js';

/**
 * Describes all headers with one call for each tip. Only where the chain does not hold together are files asked one by
 * one, so that the trouble gets its name.
 * @param files facts by backup id; absent files are not asked
 */
export async function describeHeaders(
  root: string,
  rows: readonly BackupRow[],
  files: ReadonlyMap<string, FileFact>,
  signal: AbortSignal,
): Promise<Map<string, HeaderFact>> {
  const headers = new Map<string, HeaderFact>();
  const rowsById = byId(rows);
  const rowsByPath = new Map(rows.map((row) => [row.path, row]));
  const present = (row: BackupRow) => files.get(row.id)?.state === 'present';
  for (const tip of tipsOf(rows)) {
    const lineage = lineageOf(rowsById, tip).layers;
    if (!lineage.every(present)) continue;
    for (const info of (await chainOf(join(root, lineage[0]?.path ?? ''), signal)) ?? []) {
      const row = rowsByPath.get(relative(root, info.filename));
      // In a format that a header states wrongly, the file below is described as what it is not.
      if (row && info.format === 'qcow2') headers.set(row.id, toHeader(info));
    }
  }
  for (const row of rows) {
    if (present(row) && !headers.has(row.id))
      headers.set(row.id, await headerOf(join(root, row.path), signal));
  }
  return headers;
}

async function chainOf(path: string, signal: AbortSignal): Promise<ImageInfo[] | undefined> {
  try {
    return await chainInfo(path, { signal, idle: 'disk' });
  } catch (error) {
    imageTrouble(error);
    return undefined;
  }
}

async function headerOf(path: string, signal: AbortSignal): Promise<HeaderFact> {
  try {
    return toHeader(await imageInfo({ type: 'file', path, format: 'qcow2' }, { signal, idle: 'disk' }));
  } catch (error) {
    return { state: 'unknown', reason: await reasonOf(error, path) };
  }
}

/** A lock is told with whoever has it. */
async function reasonOf(error: unknown, path: string): Promise<string> {
  const { reason } = imageTrouble(error);
  const explained = await explainLock(error, dirname(path));
  return isStrataError(explained, 'repository_file_in_use') ? explained.message : reason;
}

function toHeader(info: ImageInfo): HeaderFact {
  return {
    state: 'read',
    virtualSize: info.virtualSizeBytes,
    backingName: info.backingName,
    backingFormat: info.backingFormat,
    corrupt: info.corrupt,
  };
}

/**
 * Runs `qemu-img check` on one image. A failure counts as corruption only when it happens again after every byte of the
 * file was read without trouble: a passing I/O error is not damage (lesson 21).
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
