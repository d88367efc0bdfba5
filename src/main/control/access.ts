import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { StrataError, errnoOf } from '../../shared/errors.js';
import { writeWhole } from './writeWhole.js';

/** What the fleet may read beyond its settings, because somebody named it to `up`. */
export interface Access {
  sourceRoots: string[];
  nbdAllow: string[];
}

/**
 * Reads what was allowed before in this data directory (`access.json`). An operator may edit or remove the file.
 * @throws invalid_configuration when it is damaged
 */
export async function readAccess(dataDir: string): Promise<Access> {
  const path = accessFile(dataDir);
  try {
    const value: unknown = JSON.parse(await readFile(path, 'utf8'));
    const { source_roots, nbd_allow } = (value ?? {}) as Record<string, unknown>;
    if (isTexts(source_roots) && isTexts(nbd_allow))
      return { sourceRoots: source_roots, nbdAllow: nbd_allow };
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return { sourceRoots: [], nbdAllow: [] };
    throw new StrataError('invalid_configuration', `${path} cannot be read.`, { cause: error });
  }
  throw new StrataError('invalid_configuration', `${path} holds no lists source_roots and nbd_allow.`);
}

export async function writeAccess(dataDir: string, access: Access): Promise<void> {
  const value = { source_roots: access.sourceRoots, nbd_allow: access.nbdAllow };
  await writeWhole(accessFile(dataDir), `${JSON.stringify(value, null, 2)}\n`, 0o600);
}

/** Both together; a fleet that runs never loses what it was allowed. */
export function unionAccess(a: Access, b: Access): Access {
  return {
    sourceRoots: [...new Set([...a.sourceRoots, ...b.sourceRoots])],
    nbdAllow: [...new Set([...a.nbdAllow, ...b.nbdAllow])],
  };
}

function accessFile(dataDir: string): string {
  return join(dataDir, 'access.json');
}

function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string');
}
