import { join, relative } from 'node:path';
import { byId, type Layer, lineageOf, tipsOf } from '../chain/index.js';
import { chainInfo, type ImageInfo, imageInfo } from '../../qcow2/index.js';
import type { FileFact, HeaderFact } from './facts.js';
import { reasonOf } from '../repository/checkFile.js';
import { imageTrouble } from '../repository/trouble.js';

/**
 * Describes all headers with one call for each tip. Only where the chain does not hold together are files asked one by
 * one, so that the trouble gets its name.
 * @param files facts by backup id; absent files are not asked
 */
export async function describeHeaders(
  root: string,
  rows: readonly Layer[],
  files: ReadonlyMap<string, FileFact>,
  signal: AbortSignal,
): Promise<Map<string, HeaderFact>> {
  const headers = new Map<string, HeaderFact>();
  const rowsById = byId(rows);
  const rowsByPath = new Map(rows.map((row) => [row.path, row]));
  const present = (row: Layer) => files.get(row.id)?.state === 'present';
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

function toHeader(info: ImageInfo): HeaderFact {
  return {
    state: 'read',
    virtualSize: info.virtualSizeBytes,
    backingName: info.backingName,
    backingFormat: info.backingFormat,
    corrupt: info.corrupt,
  };
}
