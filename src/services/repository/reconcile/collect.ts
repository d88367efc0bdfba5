import { lstat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { DataSource } from '../../../db/database.js';
import { abortable, throwIfAborted } from '../../../shared/abort.js';
import { errnoOf, StrataError } from '../../../shared/errors.js';
import { lookAtManifest } from '../../validation/collectSidecars.js';
import { inParallel } from '../../validation/inParallel.js';
import { byId, lineageOf } from '../../validation/lineage.js';
import { sidecarsOf } from '../layout.js';
import type { Manifest } from '../manifest.js';
import { type Holder, type LayerRow, loadChain, loadLayers, loadOpenFiles, loadStates } from './catalogue.js';
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
  const carriers = carriersOf(rows);
  for (const row of rows) {
    // Whether the file of an expired backup on which nothing stands is there is nobody's loss: its removal may have been cut.
    if (row.expired && !carriers.has(row.id)) continue;
    const there = dirname(row.path) === directory && listed.has(basename(row.path));
    backups.push({ ...row, image: there || (await look(options, row.path)) ? 'present' : 'missing' });
  }
  const known = new Set(rows.flatMap(({ path }) => filesOf(path)));
  const strangers = [...listed].filter((name) => !known.has(join(directory, name)));
  const unknown = await lookAtStrangers(options, strangers);
  const openNames =
    chain && unknown.length > 0 ? (await loadOpenFiles(ds, chain.id)).map((file) => basename(file)) : [];
  return { directory, exists: names !== undefined, chain, backups, unknown, openNames };
}

/** What the restore points stand on. */
function carriersOf(rows: readonly LayerRow[]): Set<string> {
  const rowsById = byId(rows);
  const points = rows.filter(({ expired }) => !expired);
  return new Set(points.flatMap(({ id }) => lineageOf(rowsById, id).layers.map((layer) => layer.id)));
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
    const file: UnknownFile = { name, regular, mtimeMs: stats.mtimeMs, manifest: { state: 'none' } };
    if (regular && name.endsWith('.json')) {
      const read = stats.size > LARGEST_MANIFEST ? undefined : await readCandidate(options, name);
      if (read) manifests.set(name, read);
      else file.manifest = { state: 'invalid' };
    }
    found.push(file);
  });
  const states = await loadStates(
    options.ds,
    [...manifests.values()].map((manifest) => manifest.backup_id),
  );
  return found.map((file) => {
    const manifest = manifests.get(file.name);
    if (!manifest) return file;
    const fact: ManifestFact = {
      state: 'valid',
      manifest,
      belongs: belongsHere(options, file.name, manifest),
      row: states.get(manifest.backup_id) ?? 'unknown',
    };
    return { ...file, manifest: fact };
  });
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
