import { StrataError } from '../../../shared/errors.js';
import { type Below, type ImageOnDisk, isQuarantined } from './facts.js';

/**
 * The rule of every move and every removal of an image: **none goes, by whatever verdict, while an image that stays names it
 * as backing file, by its own header, all the way down.** Catalogue and manifests are not asked: both may be older than
 * the files. Pure.
 * @param images all that may stand on one of the doomed
 * @param doomed paths that are going to be moved or removed
 * @returns of the doomed those that must stay, each with the image that stands on it
 */
export function heldImages(
  images: readonly ImageOnDisk[],
  doomed: ReadonlySet<string>,
): ReadonlyMap<string, string> {
  const graph = graphOf(images);
  const standsOn = new Map<string, string>();
  const seen = new Set<string>();
  const open = images.filter(({ path }) => !doomed.has(path));
  for (let image = open.pop(); image !== undefined; image = open.pop()) {
    if (seen.has(image.path)) continue;
    seen.add(image.path);
    for (const next of graph.belowOf(image)) {
      if (!standsOn.has(next.path)) standsOn.set(next.path, image.path);
      open.push(next);
    }
  }
  return new Map([...standsOn].filter(([path]) => doomed.has(path)));
}

/**
 * The same, for whoever cannot leave some of them out.
 * @throws chain_broken when one of the doomed must stay
 */
export function assertNothingStandsOn(images: readonly ImageOnDisk[], doomed: readonly string[]): void {
  const [first] = heldImages(images, new Set(doomed));
  if (first === undefined) return;
  const [path, by] = first;
  throw new StrataError('chain_broken', `${path} is not removed: ${by} still refers to it.`);
}

/**
 * Refuses a removal beside an image that stays and of which nobody knows what it stands on: its header cannot be read, or
 * names its backing file in words that only QEMU understands. It may stand on any of them. Pure.
 * @param images those of one directory
 * @throws image_unreadable
 */
export function assertFootingKnown(images: readonly ImageOnDisk[], doomed: readonly string[]): void {
  for (const { path, below } of images) {
    if (doomed.includes(path)) continue;
    for (const each of below) {
      if (each.state !== 'unknown') continue;
      throw new StrataError(
        'image_unreadable',
        `Nobody knows what ${path} stands on (${each.reason}): nothing beside it is removed or merged until that file can be read, or is gone.`,
        { details: { path } },
      );
    }
  }
}

/**
 * Paths of the images that `qemu-img` can open down to their last backing file, as far as headers tell; a base that lies in
 * quarantine counts as there, because it is brought back. References that go round lead nowhere. Pure.
 */
export function wholeImages(images: readonly ImageOnDisk[]): ReadonlySet<string> {
  const graph = graphOf(images);
  const above = new Map<string, ImageOnDisk[]>();
  const whole = new Map<string, ImageOnDisk>();
  for (const image of images) {
    // A file that is none of the repository's is not looked into.
    const ends = image.below.some(
      (below) => below.state === 'nothing' || (below.state === 'file' && !graph.has(below.realPath)),
    );
    if (ends) whole.set(image.path, image);
    for (const { path } of graph.belowOf(image)) above.set(path, [...(above.get(path) ?? []), image]);
  }
  // A map goes on with what is added meanwhile.
  for (const path of whole.keys()) {
    for (const image of above.get(path) ?? []) whole.set(image.path, image);
  }
  return new Set(whole.keys());
}

/** In an order in which each comes before all that it stands on: moves that are cut leave no image without its base. Pure. */
export function topsFirst(images: readonly ImageOnDisk[]): ImageOnDisk[] {
  const graph = graphOf(images);
  const basesFirst: ImageOnDisk[] = [];
  const seen = new Set<string>();
  const stack = images.map((image) => ({ image, isDone: false }));
  for (let top = stack.pop(); top !== undefined; top = stack.pop()) {
    const { image, isDone } = top;
    if (isDone) basesFirst.push(image);
    if (isDone || seen.has(image.path)) continue;
    seen.add(image.path);
    stack.push(
      { image, isDone: true },
      ...graph.belowOf(image).map((next) => ({ image: next, isDone: false })),
    );
  }
  return basesFirst.reverse();
}

/** Which images a header's words mean. */
function graphOf(images: readonly ImageOnDisk[]) {
  // A link has the real path of the file that it leads to: which of the two a header means is not told apart.
  const byPath = groupBy(images, ({ realPath }) => realPath);
  const quarantined = groupBy(images.filter(isQuarantined), ({ origin }) => origin);
  const namedBy = (below: Below): readonly ImageOnDisk[] => {
    if (below.state === 'missing') return quarantined.get(below.path) ?? [];
    return below.state === 'file' ? (byPath.get(below.realPath) ?? []) : [];
  };
  return {
    has: (realPath: string) => byPath.has(realPath),
    belowOf: (image: ImageOnDisk) => image.below.flatMap(namedBy),
  };
}

function groupBy(
  images: readonly ImageOnDisk[],
  keyOf: (image: ImageOnDisk) => string,
): Map<string, ImageOnDisk[]> {
  const groups = new Map<string, ImageOnDisk[]>();
  for (const image of images) {
    const group = groups.get(keyOf(image));
    if (group) group.push(image);
    else groups.set(keyOf(image), [image]);
  }
  return groups;
}
