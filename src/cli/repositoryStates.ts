import { allItems, type StrataClient } from '../client/index.js';
import type { RepositoryState } from './render/cadence.js';

/** How each repository is: health of its chains, what is overdue, and whether workers serve it. @throws what the API answers */
export async function repositoryStates(
  client: StrataClient,
  signal: AbortSignal,
): Promise<RepositoryState[]> {
  const repositories = await allItems((page) => client.repositories.list(page, { signal }));
  const states: RepositoryState[] = [];
  for (const { id, name, pool, enabled, unserved_kinds = [] } of repositories) {
    const unserved = enabled ? unserved_kinds : [];
    states.push({
      name,
      pool,
      unserved_kinds: unserved,
      ...(await client.repositories.validation(id, { signal })),
    });
  }
  return states;
}
