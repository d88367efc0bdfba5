import { RepositoryParams, RepositorySpace } from '../../../contract/index.js';
import { getRepository } from '../../../db/repository/repositories.js';
import { spaceOfChains } from '../../../db/repository/space.js';
import { recordCapacity } from '../../../services/job/recordCapacity.js';
import { countQuarantine } from '../../../services/repository/expireQuarantine.js';
import { withDeadline } from '../../../shared/abort.js';
import { isStrataError } from '../../../shared/errors.js';
import { type Api, API_PREFIX, type HttpDeps } from '../deps.js';
import { toSpace } from '../views/repository.js';

const MOST_CHAINS = 1000;
const DEADLINE_MS = 20_000;

/** Who holds what. */
export function spaceRoutes(app: Api, deps: HttpDeps): void {
  app.get(
    `${API_PREFIX}/repositories/:id/space`,
    {
      schema: {
        tags: ['repositories'],
        summary: 'What a repository holds, and what can come free',
        params: RepositoryParams,
        response: { 200: RepositorySpace },
      },
      config: { access: 'viewer' },
    },
    async ({ params }) => {
      const found = await look(deps, params.id);
      return toSpace(found, await spaceOfChains(deps.ds, found.repository.id, MOST_CHAINS));
    },
  );
}

/** The repository as it is now where this host mounts it; else as it was seen last, without its quarantine. */
async function look(deps: HttpDeps, id: string) {
  const repository = await getRepository(deps.ds, id);
  const deadline = withDeadline(undefined, DEADLINE_MS, 'Counting the quarantine');
  try {
    const quarantine = await countQuarantine(repository, deadline.signal);
    const capacity = await recordCapacity(deps.ds, repository, deps.clock.now());
    return { repository: { ...repository, ...capacity }, quarantine };
  } catch (error) {
    if (!isStrataError(error, 'repository_unavailable', 'repository_marker_foreign')) throw error;
    return { repository, quarantine: null };
  } finally {
    deadline.clear();
  }
}
