import { basename, dirname, join } from 'node:path';
import { fenceOfPartial, sidecarsOf } from '../repository/layout.js';
import type { ChainFacts } from './facts.js';
import { type Finding, finding } from './findings.js';

/** Findings on names in the disk's directory that no completed backup has. Nothing is touched. Pure. */
export function judgeDirectory(chain: ChainFacts): Finding[] {
  const { names, directory, backups } = chain;
  if (names === undefined) {
    if (backups.length === 0) return [];
    return [
      finding(
        'directory_missing',
        { file: directory },
        `The directory of ${backups.length} backups is gone.`,
      ),
    ];
  }
  const known = new Set(backups.flatMap(({ row }) => filesOf(row.path)).map((path) => basename(path)));
  const others = new Map(
    chain.otherRows.flatMap((row) => filesOf(row.path).map((path) => [basename(path), row] as const)),
  );
  return names.flatMap((name) => {
    if (known.has(name)) return [];
    const file = join(directory, name);
    const fence = fenceOfPartial(name);
    // Fences only grow, and ours is the chain's newest: whoever wrote under a smaller one is dead.
    if (fence !== undefined && fence < chain.fence) {
      return [
        finding(
          'stale_partial',
          { file },
          `Left by an attempt with fence ${fence}; the newest is ${chain.fence}.`,
        ),
      ];
    }
    const row = others.get(name);
    if (!row) return [finding('unknown_file', { file }, 'No backup of the catalogue has this file.')];
    return [
      finding(
        'unknown_file',
        { backupId: row.id, file },
        `Backup ${row.id} is ${row.status} and has a file.`,
      ),
    ];
  });
}

function filesOf(path: string): string[] {
  const { image, digests, manifest } = sidecarsOf(path);
  // All of a disk's files are in one directory; a row that says otherwise has no name here.
  return dirname(image) === dirname(manifest) ? [image, digests, manifest] : [image];
}
