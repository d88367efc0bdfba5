import { lstat, readdir, realpath, stat } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join, relative } from 'node:path';
import { backingNameOf } from '../../../qcow2/index.js';
import { abortable, throwIfAborted } from '../../../shared/abort.js';
import { errnoOf, isStrataError, StrataError } from '../../../shared/errors.js';
import { inParallel } from '../../../shared/inParallel.js';
import { isSidecar, secondsOfName } from '../layout.js';
import type { Below, ImageOnDisk } from './facts.js';
import { scanVms } from '../scan.js';

/** Each waits with a listener on the signal; Node.js warns of more than 10. */
const READS_AT_ONCE = 8;
/** `nbd:`, `json:`, `file:`: QEMU takes what stands before the first colon for a protocol unless a slash comes first. */
const PROTOCOL = /^([A-Za-z0-9+.-]+):/;
/** An I/O error may pass; until it has, nobody knows what the image names. */
const GONE = ['ENOENT', 'ENOTDIR', 'ELOOP'];

interface ImagePath {
  path: string;
  origin: string;
}

/**
 * Reads what the images in one directory stand on, by their own headers; partial files included. Sidecars are no images.
 * @param directory relative to the root
 * @throws repository_unavailable when the directory cannot be listed, or a file can neither be looked at nor is certainly gone
 */
export async function readImages(
  root: string,
  directory: string,
  signal: AbortSignal,
): Promise<ImageOnDisk[]> {
  const names = await namesIn(root, directory, signal);
  const places = names.map((name) => join(directory, name)).map((path) => ({ path, origin: path }));
  return readImagesAt(root, places, signal);
}

/** The same of given files. @param places where each is, and by which path other images call it */
export async function readImagesAt(
  root: string,
  places: readonly ImagePath[],
  signal: AbortSignal,
): Promise<ImageOnDisk[]> {
  const images: ImageOnDisk[] = [];
  await inParallel(
    places.filter(({ path }) => !isSidecar(path)),
    READS_AT_ONCE,
    async (place) => {
      const image = await readImage(root, place, signal);
      if (image) images.push(image);
    },
  );
  return images.sort((a, b) => (a.path < b.path ? -1 : 1));
}

async function readImage(
  root: string,
  place: ImagePath,
  signal: AbortSignal,
): Promise<ImageOnDisk | undefined> {
  const { path, origin } = place;
  const found = await look(join(root, path), (at) => lstat(at, { bigint: true }), signal);
  // An image that somebody moved to another disk, and left a link to: QEMU opens what it names beside the link.
  const linked = found?.isSymbolicLink() && path === origin;
  const opened = linked ? await look(join(root, path), (at) => stat(at), signal) : found;
  if (found && linked && !opened) return danglingLink(root, place, found);
  if (!found || !opened?.isFile()) return undefined;
  const name = await headerOf(join(root, path), signal);
  const below = await belowOf(root, place, name, signal);
  const realPath = await look(join(root, path), real, signal);
  if (realPath === undefined) return undefined;
  return {
    path,
    origin,
    realPath,
    file: `${found.dev}:${found.ino}`,
    ...(linked ? { isLink: true } : {}),
    qcow2: name.state === 'read',
    below,
  };
}

/** Perhaps the disk that it leads to is not mounted now. */
function danglingLink(
  root: string,
  place: ImagePath,
  { dev, ino }: { dev: bigint; ino: bigint },
): ImageOnDisk {
  const below: Below[] = [{ state: 'unknown', reason: 'it is a link that leads nowhere now' }];
  const realPath = join(root, place.path);
  return { ...place, realPath, file: `${dev}:${ino}`, isLink: true, qcow2: false, below };
}

type Header =
  | { state: 'read'; name: string | undefined }
  | { state: 'none' }
  | { state: 'unreadable'; reason: string };

async function headerOf(path: string, signal: AbortSignal): Promise<Header> {
  try {
    return { state: 'read', name: await abortable(backingNameOf(path), signal) };
  } catch (error) {
    throwIfAborted(signal);
    if (isStrataError(error, 'unknown_format')) return { state: 'none' };
    return { state: 'unreadable', reason: (error as Error).message };
  }
}

async function belowOf(
  root: string,
  { path, origin }: ImagePath,
  header: Header,
  signal: AbortSignal,
): Promise<Below[]> {
  if (header.state === 'unreadable') return [{ state: 'unknown', reason: header.reason }];
  if (header.state === 'none') {
    const wasImage = origin.endsWith('.qcow2') && secondsOfName(basename(origin)) !== undefined;
    return [{ state: wasImage ? 'lost' : 'nothing' }];
  }
  if (header.name === undefined) return [{ state: 'nothing' }];
  const below = [await resolve(root, origin, header.name, signal)];
  if (path !== origin) below.push(await resolve(root, path, header.name, signal));
  return below.filter((each, index) => index === 0 || each.state === 'file');
}

async function resolve(root: string, image: string, name: string, signal: AbortSignal): Promise<Below> {
  const protocol = PROTOCOL.exec(name)?.[1];
  if (protocol !== undefined && protocol !== 'file') {
    return protocol === 'json'
      ? { state: 'unknown', reason: `it stands on ${name}` }
      : { state: 'elsewhere' };
  }
  const file = protocol === 'file' ? name.slice('file:'.length) : name;
  const absolute = isAbsolute(file) ? file : join(root, dirname(image), file);
  try {
    const realPath = await look(absolute, real, signal);
    return realPath !== undefined
      ? { state: 'file', realPath }
      : { state: 'missing', path: relative(root, absolute) };
  } catch (error) {
    if (!isStrataError(error, 'repository_unavailable')) throw error;
    return { state: 'unknown', reason: error.message };
  }
}

const real = (path: string): Promise<string> => realpath(path);

/** Undefined where there is certainly nothing of that name. */
async function look<T>(
  path: string,
  how: (path: string) => Promise<T>,
  signal: AbortSignal,
): Promise<T | undefined> {
  try {
    return await abortable(how(path), signal);
  } catch (error) {
    throwIfAborted(signal);
    if (GONE.includes(errnoOf(error) ?? '')) return undefined;
    throw new StrataError('repository_unavailable', `${path} cannot be looked at.`, { cause: error });
  }
}

async function namesIn(root: string, directory: string, signal: AbortSignal): Promise<string[]> {
  try {
    return await abortable(readdir(join(root, directory)), signal);
  } catch (error) {
    throwIfAborted(signal);
    throw new StrataError('repository_unavailable', `${directory} cannot be listed.`, { cause: error });
  }
}

/**
 * The images in all disks' directories: an overlay that somebody made may stand on an image of another disk. Some 200 bytes
 * of memory for each; only for whoever is about to move or remove images.
 * @throws repository_unavailable, repository_marker_foreign, the signal's reason
 */
export async function readAllImages(
  repository: { id: string; rootPath: string },
  signal: AbortSignal,
): Promise<ImageOnDisk[]> {
  const { id, rootPath: root } = repository;
  const images: ImageOnDisk[] = [];
  for await (const { disks } of scanVms(root, id, { signal })) {
    for (const { directory, names } of disks) {
      const places = names.map((name) => join(directory, name)).map((path) => ({ path, origin: path }));
      images.push(...(await readImagesAt(root, places, signal)));
    }
  }
  return images;
}
