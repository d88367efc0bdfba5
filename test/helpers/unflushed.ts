// What a loss of power may leave of a directory: all that was flushed, and of the rest some, or nothing.
import {
  constants,
  copyFileSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import type { Random } from './random.js';

/**
 * Names that a directory has, with the numbers of their inodes. Names change by link, unlink and rename, which a journaling file
 * system writes in their order: after a loss of power a directory is as it was at some moment since it was last flushed.
 */
type Names = ReadonlyMap<string, number>;

export interface FlushWatch {
  /** Notes the names of all directories as they are, before they are changed once more. */
  look(): void;
  /** A file or a directory has been flushed. */
  flushed(path: string): void;
  /**
   * Writes to `target` what is left. Without chance: nothing but what was flushed. With it: of each directory the names of any
   * moment since its last flush; of each file what it held at its last flush, or holds now; of one that was never flushed
   * any part of it.
   */
  lose(target: string, random?: Random): void;
}

/** Watches a tree from now on; all that it holds counts as flushed. @param store an empty directory on the same file system */
export function watchFlushes(root: string, store: string): FlushWatch {
  const moments = new Map<string, Names[]>();
  const contentOf = (inode: number) => join(store, `content-${inode}`);
  const nameOf = (inode: number) => join(store, `inode-${inode}`);
  const keep = (path: string, inode: number) => {
    copy(path, contentOf(inode));
    // A name more, so that the number is not given to another file when this one is gone.
    if (!existsSync(nameOf(inode))) linkSync(path, nameOf(inode));
  };
  const look = () => {
    for (const directory of directoriesOf(root)) {
      const names = namesIn(directory);
      const known = moments.get(directory);
      if (!known) moments.set(directory, [names]);
      else if (!isSame(known.at(-1), names)) known.push(names);
    }
  };
  mkdirSync(store);
  look();
  for (const [directory, [names]] of moments)
    for (const [name, inode] of names ?? []) keep(join(directory, name), inode);
  return {
    look,
    flushed: (path) => {
      const stats = lstatSync(path);
      if (stats.isDirectory()) moments.set(path, [namesIn(path)]);
      else keep(path, stats.ino);
    },
    lose: (target, random) => {
      look();
      for (const [directory, known] of moments) {
        const names = (random ? random.pick(known) : known[0]) ?? new Map<string, number>();
        for (const [name, inode] of names) {
          const now = known.at(-1)?.get(name) === inode ? join(directory, name) : nameOf(inode);
          writeLeft(join(target, join(directory, name).slice(root.length)), {
            flushed: contentOf(inode),
            now,
            random,
          });
        }
      }
    },
  };
}

function writeLeft(path: string, file: { flushed: string; now: string; random: Random | undefined }): void {
  const { flushed, now, random } = file;
  mkdirSync(dirname(path), { recursive: true });
  const wasFlushed = existsSync(flushed);
  const hasReached = random?.integer(0, 1) === 1 && existsSync(now);
  if (wasFlushed || hasReached) {
    copy(hasReached ? now : flushed, path);
    return;
  }
  const all = random && existsSync(now) ? readFileSync(now) : Buffer.alloc(0);
  writeFileSync(path, all.subarray(0, random?.integer(0, all.length) ?? 0));
}

/** With the time of its last change, which manifests tell in whole milliseconds. */
function copy(from: string, to: string): void {
  copyFileSync(from, to, constants.COPYFILE_FICLONE);
  const seconds = (Math.floor(lstatSync(from).mtimeMs) + 0.5) / 1000;
  utimesSync(to, seconds, seconds);
}

function directoriesOf(root: string): string[] {
  const below = readdirSync(root, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  return [root, ...below.flatMap(({ name }) => directoriesOf(join(root, name)))];
}

function namesIn(directory: string): Names {
  const files = readdirSync(directory, { withFileTypes: true }).filter((entry) => entry.isFile());
  return new Map(files.map(({ name }) => [name, lstatSync(join(directory, name)).ino]));
}

function isSame(a: Names | undefined, b: Names): boolean {
  return a?.size === b.size && [...b].every(([name, inode]) => a.get(name) === inode);
}
