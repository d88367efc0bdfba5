import { basename, join } from 'node:path';
import { byId, type Layer } from '../chain/index.js';
import { backingNameOf } from '../../qcow2/index.js';
import { abortable, throwIfAborted } from '../../shared/abort.js';
import { backingPath } from '../repository/layout.js';
import { lookAtManifest, recordedFields } from '../repository/manifest.js';
import { inParallel } from '../../shared/inParallel.js';
import { sidecarsOf } from '../repository/layout.js';
import type { Manifest } from '../repository/manifest.js';
import type { BackupFact, ManifestState } from './facts.js';

/** Each waits with a listener on the signal; Node.js warns of more than 10. */
const LOOKS_AT_ONCE = 8;

interface Looking {
  root: string;
  /** Names in the directory. */
  names: readonly string[];
  signal: AbortSignal;
}

/**
 * Looks at the manifests of backups whose images are there. One that cannot be read now is left out: it may be in order.
 * @throws the signal's reason
 */
export async function withManifests(
  looking: Looking,
  layers: readonly Layer[],
  backups: readonly BackupFact[],
): Promise<BackupFact[]> {
  const rows = byId(layers);
  const found = new Map<string, Partial<BackupFact>>();
  const known = new Set(backups.map(({ path }) => basename(path)));
  await inParallel(backups, LOOKS_AT_ONCE, async ({ id, image }) => {
    const row = rows.get(id);
    if (!row || image === 'missing') return;
    const parent = row.parentId === null ? undefined : rows.get(row.parentId);
    const manifest = await stateOf(looking, row, parent, known);
    if (manifest === 'sound') return;
    found.set(id, { manifest, standsAsRecorded: await standsAsRecorded(looking, row, parent) });
  });
  return backups.map((backup) => ({ ...backup, ...found.get(backup.id) }));
}

async function stateOf(
  { root, names, signal }: Looking,
  row: Layer,
  parent: Layer | undefined,
  known: ReadonlySet<string>,
): Promise<ManifestState> {
  throwIfAborted(signal);
  const fact = await abortable(lookAtManifest(join(root, sidecarsOf(row.path).manifest)), signal);
  if (fact.state === 'unreadable') return 'sound';
  if (fact.state !== 'read') return fact.state;
  const manifest = fact.value;
  if (manifest.backup_id !== row.id) {
    const { file } = manifest;
    const isOther = typeof file === 'string' && names.includes(file) && !known.has(file);
    return isOther && manifest.vm_context_id === row.vmContextId ? 'of_unknown' : 'foreign';
  }
  // A switch that was cut is settled by the next job of the chain; and who has a newer manifest than catalogue rebuilds that.
  if (manifest.next !== undefined || manifest.expired_at !== undefined) return 'sound';
  return row.expired || differs(manifest, row, parent) ? 'older' : 'sound';
}

function differs(manifest: Manifest, row: Layer, parent: Layer | undefined): boolean {
  return Object.entries(recordedFields(row, parent)).some(
    ([key, value]) => manifest[key as keyof Manifest] !== value,
  );
}

/** By its own header. */
async function standsAsRecorded(
  { root, signal }: Looking,
  row: Layer,
  parent: Layer | undefined,
): Promise<boolean> {
  try {
    const name = await abortable(backingNameOf(join(root, row.path)), signal);
    if (row.parentId === null || name === undefined) return row.parentId === null && name === undefined;
    return parent !== undefined && backingPath(root, row.path, name) === parent.path;
  } catch {
    throwIfAborted(signal);
    // An image that cannot be read proves nothing; a validation tells of it.
    return false;
  }
}
