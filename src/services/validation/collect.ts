import { basename, join } from 'node:path';
import { type Layer, NO_DAMAGE, NO_REACH } from '../chain/index.js';
import { throwIfAborted, abortable } from '../../shared/abort.js';
import { StrataError, errnoOf } from '../../shared/errors.js';
import { sidecarsOf } from '../repository/layout.js';
import { assertRepository } from '../repository/marker.js';
import type { ReportProgress } from '../deps.js';
import type { ChainCatalogue } from './catalogue.js';
import { listNames } from '../repository/scan.js';
import { collectContents } from './collectContents.js';
import { describeHeaders } from './collectImages.js';
import { checkFile, type CheckFact } from '../repository/checkFile.js';
import { lookAtDigests } from './collectSidecars.js';
import { lookAtManifest } from '../repository/manifest.js';
import type { BackupFacts, ChainFacts, FileFact, ProofFact } from './facts.js';
import { inParallel } from '../../shared/inParallel.js';
import { lstat, open } from 'node:fs/promises';
import { digestHeader } from '../repository/imageHeader.js';
import { readingTrouble, saysAbsent } from '../repository/trouble.js';

/** qemu-img check waits for the disk most of the time. */
const CHECKS_AT_ONCE = 4;

export interface CollectOptions {
  catalogue: ChainCatalogue;
  fence: number;
  signal: AbortSignal;
  report: ReportProgress;
  /** The content id of every point is computed from the indexes, and not only of the tips. */
  everyPoint?: boolean;
}

/**
 * Gathers all that a quick check looks at. Changes nothing.
 * @throws repository_unavailable when the repository is not mounted, before, meanwhile or after, or cannot be listed
 * @throws the signal's reason within 2 s of its abort
 */
export async function collectFacts({
  catalogue,
  fence,
  signal,
  report,
  everyPoint = false,
}: CollectOptions): Promise<ChainFacts> {
  const { rootPath: root, id } = catalogue.repository;
  await assertRepository(root, id);
  const rows = catalogue.backups;
  const names = await listNames(join(root, catalogue.directory), signal);
  const files = await lookAtFiles(root, rows, new Set(names), signal);
  refuseSilence(root, files);
  const headers = await describeHeaders(root, rows, files, signal);
  const { sidecars, checks } = await lookInside(root, rows, files, { signal, report, everyPoint });
  // A repository that went away in the meantime looks as if its files were gone (invariant 6).
  await assertRepository(root, id);
  await refuseReturned(root, rows, files, signal);
  const backups = rows.map(
    (row): BackupFacts => ({
      row,
      file: files.get(row.id) ?? { state: 'missing' },
      header: headers.get(row.id) ?? { state: 'unknown', reason: 'the file is missing' },
      check: checks.get(row.id) ?? { state: 'skipped' },
      ...(sidecars.get(row.id) ?? NO_SIDECARS),
      proof: UNKNOWN,
    }),
  );
  const { directory, otherRows } = catalogue;
  return { fence, root, directory, names, backups, otherRows };
}

const UNKNOWN: ProofFact = { provedAt: null, damage: NO_DAMAGE, reach: NO_REACH, settled: false };

type Sidecars = Pick<BackupFacts, 'manifest' | 'manifestCtimeMs' | 'digests' | 'content'>;
const NO_SIDECARS: Sidecars = {
  manifest: { state: 'missing' },
  manifestCtimeMs: null,
  digests: { state: 'missing' },
  content: { state: 'skipped' },
};

async function lookAtFiles(
  root: string,
  rows: readonly Layer[],
  names: ReadonlySet<string>,
  signal: AbortSignal,
): Promise<Map<string, FileFact>> {
  const files = new Map<string, FileFact>();
  for (const row of rows) {
    throwIfAborted(signal);
    files.set(row.id, await lookAtFile(join(root, row.path), names.has(basename(row.path)), signal));
  }
  return files;
}

/** Where several files are there and none can be read, it is the repository's trouble and not that of each file. */
function refuseSilence(root: string, files: ReadonlyMap<string, FileFact>): void {
  const there = [...files.values()].filter((file) => file.state !== 'missing');
  const unreadable = there.filter((file) => file.state === 'unreadable');
  if (there.length < 2 || unreadable.length < there.length) return;
  throw new StrataError('repository_unavailable', `None of ${there.length} files can be read in ${root}.`, {
    details: { first: unreadable[0]?.reason },
  });
}

/** A file that was missing and is there now was not missing: the repository came and went. */
async function refuseReturned(
  root: string,
  rows: readonly Layer[],
  files: ReadonlyMap<string, FileFact>,
  signal: AbortSignal,
): Promise<void> {
  for (const row of rows) {
    if (files.get(row.id)?.state !== 'missing') continue;
    const again = await lookAtFile(join(root, row.path), false, signal);
    if (again.state === 'missing') continue;
    throw new StrataError('repository_unavailable', `${row.path} was missing and is there again.`);
  }
}

async function lookAtSidecars(
  root: string,
  rows: readonly Layer[],
  signal: AbortSignal,
  everyPoint: boolean,
): Promise<Map<string, Sidecars>> {
  const sidecars = new Map<string, Sidecars>();
  for (const row of rows) {
    throwIfAborted(signal);
    const path = join(root, sidecarsOf(row.path).manifest);
    const manifest = await lookAtManifest(path);
    const manifestCtimeMs = await changeTimeOf(path, signal);
    const digests = await lookAtDigests(join(root, sidecarsOf(row.path).digests), signal);
    sidecars.set(row.id, { manifest, manifestCtimeMs, digests, content: { state: 'skipped' } });
  }
  await collectContents({ root, rows, signal, everyPoint }, sidecars);
  return sidecars;
}

interface Insides {
  sidecars: Map<string, Sidecars>;
  checks: Map<string, CheckFact>;
}

/** The sidecars are digested by this process and the images are checked by others: side by side. */
async function lookInside(
  root: string,
  rows: readonly Layer[],
  files: ReadonlyMap<string, FileFact>,
  { signal, report, everyPoint = false }: Pick<CollectOptions, 'signal' | 'report' | 'everyPoint'>,
): Promise<Insides> {
  const insides: Insides = { sidecars: new Map(), checks: new Map() };
  const present = rows.filter((row) => files.get(row.id)?.state === 'present');
  const bytesTotal = present.reduce((sum, row) => sum + row.sizeBytes, 0);
  let bytesDone = 0;
  report({ phase: 'checking', bytes_done: 0, bytes_total: bytesTotal });
  const check = async (row: Layer) => {
    insides.checks.set(row.id, await checkFile(join(root, row.path), signal));
    bytesDone += row.sizeBytes;
    report({ phase: 'checking', bytes_done: bytesDone, bytes_total: bytesTotal });
  };
  const digest = async () => {
    insides.sidecars = await lookAtSidecars(root, rows, signal, everyPoint);
  };
  const work = [digest, ...present.map((row) => () => check(row))];
  await inParallel(work, CHECKS_AT_ONCE + 1, (each) => each());
  return insides;
}

/** Change time of a file in ms; null where it cannot be had, of which whoever reads the file tells. */
async function changeTimeOf(path: string, signal: AbortSignal): Promise<number | null> {
  try {
    return (await abortable(lstat(path), signal)).ctimeMs;
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return null;
  }
}

/**
 * Looks at an image as a file and digests its beginning. `missing` only where both the listing and the look-up of the
 * name say so.
 * @param listed whether the name is in its directory's listing
 */
async function lookAtFile(path: string, listed: boolean, signal: AbortSignal): Promise<FileFact> {
  try {
    const found = await abortable(lstat(path), signal);
    if (!found.isFile()) return { state: 'unreadable', reason: `${path} is not a regular file` };
    const file = await open(path, 'r');
    try {
      const header = await digestHeader(file);
      return { state: 'present', length: found.size, mtimeMs: found.mtimeMs, ctimeMs: found.ctimeMs, header };
    } finally {
      await file.close();
    }
  } catch (error) {
    if (!saysAbsent(error)) return { state: 'unreadable', reason: readingTrouble(error) };
    return listed
      ? { state: 'unreadable', reason: `${path} vanished while it was looked at` }
      : { state: 'missing' };
  }
}
