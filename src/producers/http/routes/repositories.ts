import {
  Repository,
  RepositoryAdopt,
  RepositoryCreate,
  RepositoryPage,
  RepositoryParams,
  RepositoryPatch,
  RepositoryQuery,
} from '../../../contract/index.js';
import {
  deleteRepository,
  getRepository,
  listRepositories,
  type RepositoryChange,
} from '../../../db/repository/repositories.js';
import { lookAtPools } from '../../../db/repository/pools.js';
import type { Repository as RepositoryRow } from '../../../entities/index.js';
import { removeMarker } from '../../../services/repository/marker.js';
import { checkSimpleName } from '../../../shared/names.js';
import { acceptRepositoryChange, adoptRepository, registerRepository } from '../../accept/index.js';
import { pageRequest, toPage } from '../cursor.js';
import { type Api, API_PREFIX, type HttpDeps } from '../deps.js';
import { Type } from 'typebox';
import { toRepository } from '../views/repository.js';
import { upkeepRoutes } from './upkeep.js';

const tags = ['repositories'];
const PATH = `${API_PREFIX}/repositories`;

/** Directories that hold backups. */
export function repositoryRoutes(app: Api, deps: HttpDeps): void {
  app.post(
    PATH,
    {
      schema: {
        tags,
        summary: 'Register a repository',
        body: RepositoryCreate,
        response: { 201: Repository },
      },
      config: { access: 'admin' },
    },
    async (request, reply) => {
      const row = await registerRepository(deps, request.body);
      return reply
        .code(201)
        .header('location', `${PATH}/${row.id}`)
        .send(await served(deps, row));
    },
  );
  readingRoutes(app, deps);
  adoptRoute(app, deps);
  changingRoutes(app, deps);
  upkeepRoutes(app, deps);
}

function readingRoutes(app: Api, deps: HttpDeps): void {
  app.get(
    PATH,
    {
      schema: {
        tags,
        summary: 'List repositories',
        querystring: RepositoryQuery,
        response: { 200: RepositoryPage },
      },
      config: { access: 'viewer' },
    },
    async ({ query }) => {
      const unserved = await lookAtPools(deps.ds);
      return toPage(await listRepositories(deps.ds, pageRequest(query, 'id')), (row) =>
        toRepository(row, unserved(row.pool)),
      );
    },
  );
  app.get(
    `${PATH}/:id`,
    {
      schema: { tags, summary: 'Read a repository', params: RepositoryParams, response: { 200: Repository } },
      config: { access: 'viewer' },
    },
    async ({ params }) => served(deps, await getRepository(deps.ds, params.id)),
  );
}

function adoptRoute(app: Api, deps: HttpDeps): void {
  app.post(
    `${PATH}/adopt`,
    {
      schema: {
        tags,
        summary: 'Take a known repository up at another path',
        description:
          'Its file system was mounted elsewhere, or its directory moved: the marker file there says which repository it is. Refused with `repository_still_there` while another directory at the old path has the marker, too, and with `repository_busy` while its jobs run. Sent again, it changes nothing.',
        body: RepositoryAdopt,
        response: { 200: Repository },
      },
      config: { access: 'admin' },
    },
    async ({ body }) => served(deps, await adoptRepository(deps, body)),
  );
}

/** A repository, and what of its jobs nobody would work on. */
async function served(deps: HttpDeps, row: RepositoryRow): Promise<Repository> {
  const unserved = await lookAtPools(deps.ds);
  return toRepository(row, unserved(row.pool));
}

function changingRoutes(app: Api, deps: HttpDeps): void {
  app.patch(
    `${PATH}/:id`,
    {
      schema: {
        tags,
        summary: 'Change a repository',
        params: RepositoryParams,
        body: RepositoryPatch,
        response: { 200: Repository },
      },
      config: { access: 'admin' },
    },
    async ({ params, body }) => served(deps, await acceptRepositoryChange(deps, params.id, toChange(body))),
  );
  app.delete(
    `${PATH}/:id`,
    {
      schema: {
        tags,
        summary: 'Remove a repository',
        description:
          'Refused while it holds backups, and with `repository_busy` while a rebuild of it is open. Its directory is left as it is, but for the marker file.',
        params: RepositoryParams,
        response: { 204: Type.Null() },
      },
      config: { access: 'admin' },
    },
    async ({ params, log }, reply) => {
      const removed = await deleteRepository(deps.ds, params.id);
      try {
        await removeMarker(removed.rootPath, removed.id);
      } catch (error) {
        // It is gone from the catalogue; a marker that stays only keeps the directory from being registered again.
        log.warn({ err: error, rootPath: removed.rootPath }, 'the marker of the removed repository stays');
      }
      return reply.code(204).send(null);
    },
  );
}

function toChange(body: RepositoryPatch): RepositoryChange {
  if (body.name !== undefined) checkSimpleName(body.name, 'name');
  if (body.pool !== undefined) checkSimpleName(body.pool, 'pool');
  return {
    ...(body.name === undefined ? {} : { name: body.name }),
    ...(body.pool === undefined ? {} : { pool: body.pool }),
    ...(body.enabled === undefined ? {} : { enabled: body.enabled }),
    ...(body.min_free_bytes === undefined ? {} : { minFreeBytes: body.min_free_bytes }),
    ...(body.max_parallel_jobs === undefined ? {} : { maxParallelJobs: body.max_parallel_jobs }),
    ...(body.max_bytes_per_second === undefined ? {} : { maxBytesPerSecond: body.max_bytes_per_second }),
    ...(body.immutable_days === undefined ? {} : { immutableDays: body.immutable_days }),
    ...(body.max_chain_length === undefined ? {} : { maxChainLength: body.max_chain_length }),
    ...toCadence(body),
  };
}

/** A change of how often takes effect at once: the pauses that were for the cadence of before are over. */
function toCadence(body: RepositoryPatch): RepositoryChange {
  const { validate_quick_hours: quick, validate_deep_days: deep, validate_bytes_per_hour: bytes } = body;
  return {
    ...(quick === undefined ? {} : { validateQuickHours: quick, quickNextAt: null }),
    ...(deep === undefined ? {} : { validateDeepDays: deep, deepNextAt: null }),
    ...(bytes === undefined ? {} : { validateBytesPerHour: bytes, deepNextAt: null }),
  };
}
