import type { BackupTarget } from '../../../db/chain/targets.js';
import type { FastifyReply, FastifyRequest } from 'fastify';
import {
  BackupParams,
  Consolidation,
  ContentRemovalQuery,
  RemovalQuery,
  RepositoryParams,
  RestorePointParams,
  VmParams,
} from '../../../contract/index.js';
import { acceptRemoval } from '../../accept/index.js';
import { type Api, API_PREFIX, type HttpDeps } from '../deps.js';
import { idempotencyOf } from '../idempotency.js';
import { toConsolidation } from '../views/consolidation.js';

const response = { 200: Consolidation, 202: Consolidation };

/** Removal of backups: all that was asked for, or, with the reason, nothing. */
export function removalRoutes(app: Api, deps: HttpDeps): void {
  app.delete(
    `${API_PREFIX}/backups/:backup_id`,
    {
      schema: {
        tags: ['backups'],
        summary: 'Remove a backup',
        description:
          "One disk's: a tip goes with its files, another is merged into the one above it. Refused while it is protected or in use. Its restore point is then completed_with_warnings.",
        params: BackupParams,
        querystring: RemovalQuery,
        response,
      },
      config: { access: 'admin', ownKey: true },
    },
    async (request, reply) => remove(deps, request, reply, { kind: 'backup', id: request.params.backup_id }),
  );
  app.delete(
    `${API_PREFIX}/restore-points/:id`,
    {
      schema: {
        tags: ['restore points'],
        summary: 'Remove a restore point: the backups of all its disks',
        params: RestorePointParams,
        querystring: RemovalQuery,
        response,
      },
      config: { access: 'admin', ownKey: true },
    },
    async (request, reply) => remove(deps, request, reply, { kind: 'restore_point', id: request.params.id }),
  );
  contentRoutes(app, deps);
}

function contentRoutes(app: Api, deps: HttpDeps): void {
  app.delete(
    `${API_PREFIX}/vms/:vm_context_id/backups`,
    {
      schema: {
        tags: ['vms'],
        summary: 'Remove all backups of a VM',
        description:
          'Its disks are retired, so that nothing backs them up any more until it is registered again: `retired_disks`. Then the VM itself can be removed.',
        params: VmParams,
        querystring: ContentRemovalQuery,
        response,
      },
      config: { access: 'admin', ownKey: true },
    },
    async (request, reply) => remove(deps, request, reply, { kind: 'vm', id: request.params.vm_context_id }),
  );
  app.delete(
    `${API_PREFIX}/repositories/:id/backups`,
    {
      schema: {
        tags: ['repositories'],
        summary: 'Remove all backups of a repository',
        description: 'Then the repository itself can be removed.',
        params: RepositoryParams,
        querystring: ContentRemovalQuery,
        response,
      },
      config: { access: 'admin', ownKey: true },
    },
    async (request, reply) => remove(deps, request, reply, { kind: 'repository', id: request.params.id }),
  );
}

async function remove(
  deps: HttpDeps,
  request: FastifyRequest,
  reply: FastifyReply,
  target: BackupTarget,
): Promise<Consolidation> {
  const { dry_run: dryRun = false, expected_latest: expectedLatest } = request.query as ContentRemovalQuery;
  const answer = await acceptRemoval(deps, target, { dryRun, expectedLatest }, idempotencyOf(request));
  reply.code(dryRun ? 200 : 202);
  return toConsolidation(answer);
}
