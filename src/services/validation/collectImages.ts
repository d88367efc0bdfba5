import { join, relative } from 'node:path';
import { chainInfo, checkImage, type ImageInfo, imageInfo } from '../../qcow2/index.js';
import { backingPath } from './backingPath.js';
import type { BackupRow, CheckFact, FileFact, HeaderFact } from './facts.js';
import { byId, lineageOf, tipsOf } from './lineage.js';
import { imageTrouble, whyUnreadable } from './trouble.js';

export interface HeaderFacts {
  headers: Map<string, HeaderFact>;
  /** Paths relative to the root that QEMU came across from the tips. */
  reached: Set<string>;
}

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
): Promise<HeaderFacts> {
  const headers = new Map<string, HeaderFact>();
  const reached = new Set<string>();
  const rowsById = byId(rows);
  const rowsByPath = new Map(rows.map((row) => [row.path, row]));
  const present = (row: BackupRow) => files.get(row.id)?.state === 'present';
  for (const tip of tipsOf(rows)) {
    const lineage = lineageOf(rowsById, tip).layers;
    if (!lineage.every(present)) continue;
    for (const info of (await chainOf(join(root, lineage[0]?.path ?? ''), signal)) ?? []) {
      const path = relative(root, info.filename);
      reached.add(path);
      const row = rowsByPath.get(path);
      if (row) headers.set(row.id, toHeader(info));
    }
  }
  for (const row of rows) {
    if (present(row) && !headers.has(row.id))
      headers.set(row.id, await headerOf(join(root, row.path), signal));
  }
  for (const path of followHeaders(root, rows, headers)) reached.add(path);
  return { headers, reached };
}

/** What the headers name, from the tips on, where QEMU itself could not follow them to the end. */
function followHeaders(
  root: string,
  rows: readonly BackupRow[],
  headers: ReadonlyMap<string, HeaderFact>,
): Set<string> {
  const rowsById = byId(rows);
  const rowsByPath = new Map(rows.map((row) => [row.path, row]));
  const reached = new Set<string>();
  const open = tipsOf(rows).map((id) => rowsById.get(id)?.path);
  for (let path = open.pop(); path !== undefined; path = open.pop()) {
    if (reached.has(path)) continue;
    reached.add(path);
    const row = rowsByPath.get(path);
    const header = row ? headers.get(row.id) : undefined;
    // A header that nobody can read names nothing: that its parent is not named says nothing about the parent.
    const parent = row?.parentBackupId ? rowsById.get(row.parentBackupId)?.path : undefined;
    if (header?.state === 'read') {
      if (header.backingName !== undefined) open.push(backingPath(root, path, header.backingName));
    } else open.push(parent);
  }
  return reached;
}

async function chainOf(path: string, signal: AbortSignal): Promise<ImageInfo[] | undefined> {
  try {
    return await chainInfo(path, { signal });
  } catch (error) {
    imageTrouble(error);
    return undefined;
  }
}

async function headerOf(path: string, signal: AbortSignal): Promise<HeaderFact> {
  try {
    return toHeader(await imageInfo({ type: 'file', path, format: 'qcow2' }, { signal }));
  } catch (error) {
    return { state: 'unknown', reason: imageTrouble(error).reason };
  }
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
    const { corruptions, leaks, checkErrors } = await checkImage(path, { signal });
    if (checkErrors === 0) return { state: 'done', corruptions, leaks };
    const reason = `qemu-img check met ${checkErrors} errors and did not come to an end`;
    return { state: 'failed', inUse: false, reason };
  } catch (error) {
    const { code, reason } = imageTrouble(error);
    return { state: 'failed', inUse: code === 'source_in_use' || code === 'file_missing', reason };
  }
}
