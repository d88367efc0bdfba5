import { type JobStatus } from '../../shared/jobs.js';
import { lstat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { carrying, loadLayers } from '../chain/index.js';
import { statesOf } from '../../db/chain/compared.js';
import type { DataSource } from '../../db/database.js';
import { abortable, throwIfAborted } from '../../shared/abort.js';
import { errnoOf, StrataError } from '../../shared/errors.js';
import { lookAtManifest } from '../repository/manifest.js';
import { inParallel } from '../../shared/inParallel.js';
import { isSidecar, sidecarsOf } from '../repository/layout.js';
import type { Manifest } from '../repository/manifest.js';
import {
  type ImageOnDisk,
  listQuarantined,
  quarantineDays,
  readImages,
  readQuarantined,
} from '../repository/standing/index.js';
import { storedBytes } from '../repository/durable.js';
import { type Holder, loadChain, loadOpenFiles, loadPublished } from './catalogue.js';
import { withManifests } from './collectManifests.js';
import type { BackupFact, DirectoryFacts, ManifestFact, UnknownFile } from './facts.js';

/** Each waits with a listener on the signal; Node.js warns of more than 10. */
const LOOKS_AT_ONCE = 8;
/** A manifest has some 2 KiB; what is far larger is none and is not read. */
const LARGEST_MANIFEST = 1024 * 1024;

export interface CollectOptions {
  ds: DataSource;
  root: string;
  repositoryId: string;
  vmContextId: string;
  diskId: number;
  /** Relative to the root. */
  directory: string;
  /** Its listing, made before this is called; undefined when there is certainly no such directory. */
  names: readonly string[] | undefined;
  holder?: Holder;
  /** The images of the whole repository; asked for only where an unknown image may be moved. */
  allImages?: () => Promise<readonly ImageOnDisk[]>;
  signal: AbortSignal;
}

/**
 * Gathers what is known of one directory. The catalogue is read after the listing, so that a backup which is published
 * meanwhile is known or not listed, never unknown; an image that is not listed is looked for by its own name.
 * The caller asks for the marker once more before it believes any of it.
 * @throws repository_unavailable for anything but a certain answer (invariant 6)
 */
export async function collectDirectory(options: CollectOptions): Promise<DirectoryFacts> {
  const { ds, directory, names } = options;
  const chain = await loadChain(ds, options, options.holder);
  const rows = chain ? await loadLayers(ds, chain.id) : [];
  const listed = new Set(names);
  const backups: BackupFact[] = [];
  const carriers = new Set(carrying(rows));
  for (const row of rows) {
    // Whether the file of an expired backup on which nothing stands is there is nobody's loss: its removal may have been cut.
    if (!carriers.has(row)) continue;
    const there = dirname(row.path) === directory && listed.has(basename(row.path));
    backups.push({ ...row, image: there || (await look(options, row.path)) ? 'present' : 'missing' });
  }
  const known = new Set(rows.flatMap(({ path }) => filesOf(path)));
  const strangers = [...listed].filter((name) => !known.has(join(directory, name)));
  const unknown = await lookAtStrangers(options, strangers);
  const openNames =
    chain && unknown.length > 0 ? (await loadOpenFiles(ds, chain.id)).map((file) => basename(file)) : [];
  const looking = { root: options.root, names: names ?? [], signal: options.signal };
  return {
    directory,
    exists: names !== undefined,
    chain,
    backups: chain && !chain.busy ? await withManifests(looking, rows, backups) : backups,
    unknown,
    openNames,
    // Without a chain nothing of it is moved.
    ...(chain ? await lookAtImages(options, unknown) : { images: [], quarantined: [] }),
  };
}

/** What stands on what, by the headers: only where something may move, to the quarantine or back. */
async function lookAtImages(
  { root, directory, names, allImages, signal }: CollectOptions,
  unknown: readonly UnknownFile[],
): Promise<Pick<DirectoryFacts, 'images' | 'quarantined'>> {
  const days = await quarantineDays(root, signal);
  const files = await listQuarantined(root, { days, directory, signal });
  const aside = (await readQuarantined(root, files, signal)).filter(({ qcow2 }) => qcow2);
  const mayMove = unknown.some(({ name, regular }) => regular && !isSidecar(name));
  if (names === undefined || (aside.length === 0 && !mayMove)) return { images: [], quarantined: [] };
  const here = await readImages(root, directory, signal);
  const elsewhere = mayMove && allImages ? await allImages() : [];
  const images = [...here, ...elsewhere.filter(({ path }) => dirname(path) !== directory)];
  const reasons = new Map(files.map(({ path, reason }) => [path, reason]));
  return { images, quarantined: aside.map((image) => ({ ...image, reason: reasons.get(image.path) })) };
}

function filesOf(path: string): string[] {
  const { image, digests, manifest } = sidecarsOf(path);
  return [image, digests, manifest];
}

/** The file's status, or undefined when there is certainly nothing of that name. */
async function look({ root, signal }: CollectOptions, file: string) {
  try {
    return await abortable(lstat(join(root, file)), signal);
  } catch (error) {
    throwIfAborted(signal);
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw new StrataError('repository_unavailable', `${file} cannot be looked at.`, { cause: error });
  }
}

async function lookAtStrangers(options: CollectOptions, names: readonly string[]): Promise<UnknownFile[]> {
  const found: UnknownFile[] = [];
  const manifests = new Map<string, Manifest>();
  await inParallel(names, LOOKS_AT_ONCE, async (name) => {
    const stats = await look(options, join(options.directory, name));
    if (!stats) return;
    const regular = stats.isFile();
    const bytes = storedBytes(stats);
    const file: UnknownFile = { name, regular, bytes, mtimeMs: stats.mtimeMs, manifest: { state: 'none' } };
    if (regular && name.endsWith('.json')) {
      const read = stats.size > LARGEST_MANIFEST ? undefined : await readCandidate(options, name);
      if (read) manifests.set(name, read);
      else file.manifest = { state: 'invalid' };
    }
    found.push(file);
  });
  const states = await statesOf(
    options.ds,
    [...manifests.values()].map((manifest) => manifest.backup_id),
  );
  const published = await loadPublished(options.ds, endedJobs(states));
  return found.map((file) => {
    const manifest = manifests.get(file.name);
    if (!manifest) return file;
    const { row, contentId } = states.get(manifest.backup_id) ?? { row: 'unknown' as const, contentId: null };
    const fact: ManifestFact = {
      state: 'valid',
      manifest,
      belongs: belongsHere(options, file.name, manifest),
      row,
      differs: contentId !== null && contentId !== manifest.content_id,
      journalled: published.has(join(options.directory, file.name)),
      speaksOfOther: speaksOfOther(options, manifest, manifests),
    };
    return { ...file, manifest: fact };
  });
}

function endedJobs(states: ReadonlyMap<string, { row: JobStatus }>): string[] {
  return [...states].flatMap(([id, { row }]) => (row === 'failed' || row === 'cancelled' ? [id] : []));
}

/** True for a manifest of this disk whose own image is here and has none: it was copied or renamed. */
function speaksOfOther(
  options: CollectOptions,
  manifest: Manifest,
  manifests: ReadonlyMap<string, Manifest>,
): boolean {
  const { file } = manifest;
  if (typeof file !== 'string' || options.names?.includes(file) !== true) return false;
  const name = file.replace(/\.qcow2$/, '.json');
  const own = manifests.get(name);
  return belongsHere(options, name, manifest) && !(own && belongsHere(options, name, own));
}

async function readCandidate(
  { root, directory }: CollectOptions,
  name: string,
): Promise<Manifest | undefined> {
  const fact = await lookAtManifest(join(root, directory, name));
  if (fact.state === 'unreadable') {
    throw new StrataError(
      'repository_unavailable',
      `${join(directory, name)} cannot be read: ${fact.reason}`,
    );
  }
  return fact.state === 'read' ? fact.value : undefined;
}

/** True for a manifest that speaks of the place where it lies. */
function belongsHere(here: CollectOptions, name: string, manifest: Manifest): boolean {
  return (
    manifest.repository_id === here.repositoryId &&
    manifest.vm_context_id === here.vmContextId &&
    manifest.disk_id === here.diskId &&
    manifest.file === name.replace(/\.json$/, '.qcow2')
  );
}
