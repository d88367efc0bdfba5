import { begunBackups, chainOfDisk } from '../../db/chain/compared.js';
import type { DataSource } from '../../db/database.js';
import { PUBLISH_STEP, readSteps } from '../../db/job/journal.js';
import type { ChainFact } from './facts.js';

/** Who asks: a job under its own lease is nobody that it would have to wait for. */
export interface Holder {
  jobId: string;
  fence: number;
}

/** The chain of a disk in this repository, or undefined. @throws database_unavailable */
export async function loadChain(
  ds: DataSource,
  disk: { repositoryId: string; vmContextId: string; diskId: number },
  holder: Holder | undefined,
): Promise<ChainFact | undefined> {
  const held = await chainOfDisk(ds, disk);
  if (!held) return undefined;
  const busy = held.jobId !== null && held.jobId !== holder?.jobId;
  // A lease that was given back makes its fence a dead one; one that ran out may still have a writer who does not know.
  return { id: held.id, busy, fence: holder?.fence ?? held.fence + (held.free ? 1 : 0) };
}

/** Images and sidecars, relative to the root, that open jobs of the chain have begun to publish. */
export async function loadOpenFiles(ds: DataSource, chainId: string): Promise<string[]> {
  const files: string[] = [];
  for (const id of await begunBackups(ds, chainId)) files.push(...(await publishedBy(ds, id)));
  return files;
}

/** What these jobs have begun to publish by their journals, relative to the root. */
export async function loadPublished(ds: DataSource, jobIds: readonly string[]): Promise<Set<string>> {
  const files = new Set<string>();
  for (const id of jobIds) for (const file of await publishedBy(ds, id)) files.add(file);
  return files;
}

async function publishedBy(ds: DataSource, jobId: string): Promise<string[]> {
  const steps = await readSteps(ds, jobId);
  return steps.flatMap(({ step, data }) =>
    step === PUBLISH_STEP && data !== null
      ? Object.values(data).filter((value) => typeof value === 'string')
      : [],
  );
}
