import { readdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { backingNameOf } from '../../qcow2/index.js';
import { errnoOf, isStrataError, StrataError } from '../../shared/errors.js';
import type { LayerFact } from './facts.js';

/** Which images of a directory refer to which: names of images by the name of their backing file. Hidden ones are left out. */
export type References = ReadonlyMap<string, readonly string[]>;

/**
 * Reads the header of every image in a directory. What is no QCOW2 image stands on nothing.
 * @throws repository_unavailable when one cannot be read: what it stands on must not be guessed
 */
export async function readReferences(directory: string): Promise<References> {
  const references = new Map<string, string[]>();
  for (const name of await listImages(directory)) {
    const backing = await backingOf(join(directory, name));
    if (backing === undefined) continue;
    const target = basename(backing);
    references.set(target, [...(references.get(target) ?? []), name]);
  }
  return references;
}

async function listImages(directory: string): Promise<string[]> {
  try {
    const names = await readdir(directory);
    return names.filter((name) => name.endsWith('.qcow2') && !name.startsWith('.'));
  } catch (error) {
    throw unavailable(directory, error);
  }
}

async function backingOf(path: string): Promise<string | undefined> {
  try {
    return await backingNameOf(path);
  } catch (error) {
    if (isStrataError(error, 'unknown_format') || errnoOf(error) === 'EISDIR') return undefined;
    throw unavailable(path, error);
  }
}

function unavailable(path: string, cause: unknown): StrataError {
  return new StrataError('repository_unavailable', `${path} cannot be looked at.`, { cause });
}

/** The layers, with the images that the catalogue does not know and that stand on them. Pure. */
export function withStrangers(layers: readonly LayerFact[], references: References): LayerFact[] {
  const known = new Set(layers.map(({ path }) => basename(path)));
  return layers.map((layer) => {
    const names = references.get(basename(layer.path)) ?? [];
    return { ...layer, strangers: names.filter((name) => !known.has(name)).length };
  });
}

/**
 * The last look before files are unlinked: the headers, not the catalogue, say what stands on them.
 * @throws chain_broken when an image that stays refers to one that goes
 */
export function assertUnreferenced(references: References, doomed: readonly string[]): void {
  for (const name of doomed) {
    const others = (references.get(name) ?? []).filter((other) => !doomed.includes(other));
    if (others.length === 0) continue;
    throw new StrataError('chain_broken', `${name} is not removed: ${others.join(', ')} still refers to it.`);
  }
}
