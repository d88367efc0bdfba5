import { readdir } from 'node:fs/promises';
import { BackupJob, Repository } from '../../../src/entities/index.js';
import { sidecarsOf } from '../../../src/services/repository/layout.js';
import { MARKER_NAME } from '../../../src/services/repository/marker.js';
import type { TestFleet } from '../fleet.js';
import { filesBelow } from '../namesBelow.js';

/**
 * What is in the repositories and is not one of the three files of a completed backup, what of these is missing, and
 * what restores have left beside their targets.
 */
export async function fileProblems(fleet: TestFleet): Promise<string[]> {
  const { ds } = fleet.suite;
  const problems: string[] = [];
  for (const { id, name, rootPath } of await ds.getRepository(Repository).find()) {
    const backups = await ds.getRepository(BackupJob).findBy({ repositoryId: id, status: 'completed' });
    const wanted = new Set([MARKER_NAME]);
    for (const { repositoryPath } of backups) {
      const { image, digests, manifest } = sidecarsOf(repositoryPath ?? '');
      for (const path of [image, digests, manifest]) wanted.add(path);
    }
    const found = new Set(await filesBelow(rootPath));
    for (const path of found)
      if (!wanted.has(path)) problems.push(`${path} lies about in repository ${name}`);
    for (const path of wanted)
      if (!found.has(path)) problems.push(`${path} is missing in repository ${name}`);
  }
  const hidden = (await readdir(fleet.restores)).filter((name) => name.startsWith('.'));
  return [...problems, ...hidden.map((name) => `${name} lies about beside the restored files`)];
}
