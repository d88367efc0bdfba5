import { allItems, type StrataClient } from '../client/index.js';
import type { RepositoryState } from './render/cadence.js';

/** How each repository is: health of its chains, and what is overdue. @throws what the API answers */
export async function repositoryStates(
  client: StrataClient,
  signal: AbortSignal,
): Promise<RepositoryState[]> {
  const repositories = await allItems((page) => client.repositories.list(page, { signal }));
  const states: RepositoryState[] = [];
  for (const { id, name } of repositories)
    states.push({ name, ...(await client.repositories.validation(id, { signal })) });
  return states;
}
