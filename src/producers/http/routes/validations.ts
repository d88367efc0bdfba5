import { ChainValidate, RepositoryParams, ValidationsAccepted, VmParams } from '../../../contract/index.js';
import { acceptValidations } from '../../accept/index.js';
import { type Api, API_PREFIX, type HttpDeps } from '../deps.js';
import { idempotencyOf } from '../idempotency.js';

const response = { 202: ValidationsAccepted };
const config = { access: 'operator' } as const;
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
