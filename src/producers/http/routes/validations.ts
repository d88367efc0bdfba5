import {
  ChainValidate,
  RepositoryParams,
  RepositoryValidation,
  ValidationsAccepted,
  VmParams,
} from '../../../contract/index.js';
import { countHealth, countIllBackups, readCadences } from '../../../db/chain/cadence.js';
import { planRepositoryCadence } from '../../../services/validation/index.js';
import { StrataError } from '../../../shared/errors.js';
import { acceptValidations } from '../../accept/index.js';
import { type Api, API_PREFIX, type HttpDeps } from '../deps.js';
import { idempotencyOf } from '../idempotency.js';
import { toRepositoryValidation } from '../views/repository.js';

const response = { 202: ValidationsAccepted };
const config = { access: 'operator', ownKey: true } as const;
const description =
  'One job for each chain that has backups; a chain that has such a validation open keeps that one.';

/** Validations of many chains at once; that of one chain is among the chain's routes. */
export function validationRoutes(app: Api, deps: HttpDeps): void {
  app.post(
    `${API_PREFIX}/vms/:vm_context_id/validate`,
    {
      schema: {
        tags: ['vms'],
        summary: 'Check all chains of a VM',
        description,
        params: VmParams,
        body: ChainValidate,
        response,
      },
      config,
    },
    async (request, reply) => {
      const owner = { kind: 'vm', id: request.params.vm_context_id } as const;
      const accepted = await acceptValidations(deps, owner, request.body.level, idempotencyOf(request));
      return reply.code(202).send(accepted);
    },
  );
  repositoryRoutes(app, deps);
}

function repositoryRoutes(app: Api, deps: HttpDeps): void {
  app.get(
    `${API_PREFIX}/repositories/:id/validation`,
    {
      schema: {
        tags: ['repositories'],
        summary: 'How its chains are, and which validations are overdue',
        params: RepositoryParams,
        response: { 200: RepositoryValidation },
      },
      config: { access: 'viewer' },
    },
    async ({ params }) => readValidation(deps, params.id),
  );
  app.post(
    `${API_PREFIX}/repositories/:id/validate`,
    {
      schema: {
        tags: ['repositories'],
        summary: 'Check all chains of a repository',
        description,
        params: RepositoryParams,
        body: ChainValidate,
        response,
      },
      config,
    },
    async (request, reply) => {
      const owner = { kind: 'repository', id: request.params.id } as const;
      const accepted = await acceptValidations(deps, owner, request.body.level, idempotencyOf(request));
      return reply.code(202).send(accepted);
    },
  );
}

async function readValidation(deps: HttpDeps, id: string): Promise<RepositoryValidation> {
  const [repository] = await readCadences(deps.ds, id);
  if (!repository) throw new StrataError('not_found', `There is no repository ${id}.`);
  const [plan, health, ill] = await Promise.all([
    planRepositoryCadence(deps.ds, repository),
    countHealth(deps.ds, id),
    countIllBackups(deps.ds, id),
  ]);
  return toRepositoryValidation({ repositoryId: id, chains: health, backups: ill, ...plan });
}
