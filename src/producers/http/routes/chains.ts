import {
  Chain,
  ChainConsolidate,
  ChainPage,
  ChainParams,
  ChainQuery,
  ChainValidate,
  Consolidation,
  SyntheticFullBody,
  SyntheticFullPlan,
  JobAccepted,
  VmDiskParams,
} from '../../../contract/index.js';
import {
  backupsOfChain,
  type ChainFacts,
  getChain,
  getChainOfDisk,
  listChains,
} from '../../../db/chain/chains.js';
import { resolveRepository } from '../../../db/repository/repositories.js';
import { acceptConsolidation, acceptValidation } from '../../accept/index.js';
import { acceptSyntheticFull, dryRunSyntheticFull } from '../../accept/syntheticFull.js';
import { pageRequest, toPage } from '../cursor.js';
import { type Api, API_PREFIX, type HttpDeps } from '../deps.js';
import { idempotencyOf } from '../idempotency.js';
import { toChainBackup, toChainSummary } from '../views/chain.js';
import { toConsolidation } from '../views/consolidation.js';

const tags = ['chains'];
const PATH = `${API_PREFIX}/chains`;

/** The backups of one disk, one upon the other. */
export function chainRoutes(app: Api, deps: HttpDeps): void {
  app.get(
    PATH,
    {
      schema: { tags, summary: 'List chains', querystring: ChainQuery, response: { 200: ChainPage } },
      config: { access: 'viewer' },
    },
    async ({ query }) => {
      const ref = query.repository_id;
      const repositoryId = ref === undefined ? undefined : await resolveRepository(deps.ds, ref);
      const filter = { vmContextId: query.vm_context_id, repositoryId, health: query.health };
      return toPage(await listChains(deps.ds, filter, pageRequest(query, 'id')), toChainSummary);
    },
  );
  app.get(
    `${PATH}/:chain_id`,
    {
      schema: {
        tags,
        summary: 'Read a chain with its backups',
        params: ChainParams,
        response: { 200: Chain },
      },
      config: { access: 'viewer' },
    },
    async ({ params }) => withBackups(deps, await getChain(deps.ds, params.chain_id)),
  );
  app.get(
    `${API_PREFIX}/vms/:vm_context_id/disks/:disk_id/chain`,
    {
      schema: { tags, summary: 'Read the chain of a disk', params: VmDiskParams, response: { 200: Chain } },
      config: { access: 'viewer' },
    },
    async ({ params }) =>
      withBackups(deps, await getChainOfDisk(deps.ds, params.vm_context_id, params.disk_id)),
  );
  validateRoute(app, deps);
  consolidateRoutes(app, deps);
}

function validateRoute(app: Api, deps: HttpDeps): void {
  app.post(
    `${PATH}/:chain_id/validate`,
    {
      schema: {
        tags,
        summary: 'Check a chain',
        params: ChainParams,
        body: ChainValidate,
        response: { 202: JobAccepted },
      },
      config: { access: 'operator', ownKey: true },
    },
    async (request, reply) => {
      const wanted = { chainId: request.params.chain_id, level: request.body.level };
      const accepted = await acceptValidation(deps, wanted, idempotencyOf(request));
      reply.header('location', `${API_PREFIX}/jobs/${accepted.job_id}`);
      return reply.code(202).send(accepted);
    },
  );
}

function consolidateRoutes(app: Api, deps: HttpDeps): void {
  app.post(
    `${PATH}/:chain_id/consolidate`,
    {
      schema: {
        tags,
        summary: 'Remove and merge what is not to be kept',
        params: ChainParams,
        body: ChainConsolidate,
        response: { 200: Consolidation, 202: Consolidation },
      },
      config: { access: 'admin', ownKey: true },
    },
    async (request, reply) => {
      const { keep, dry_run: dryRun = false, expected_latest: expectedLatest } = request.body;
      const wanted = { chainId: request.params.chain_id, keep, dryRun, expectedLatest };
      const answer = await acceptConsolidation(deps, wanted, idempotencyOf(request));
      return reply.code(dryRun ? 200 : 202).send(toConsolidation(answer));
    },
  );
  app.post(
    `${PATH}/:chain_id/synthetic-full`,
    {
      schema: {
        tags,
        summary: 'Make the latest backup a full, without its source',
        description:
          'Its file is replaced by one that stands alone; it stays the same backup. Opens a new segment.',
        params: ChainParams,
        body: SyntheticFullBody,
        response: { 200: SyntheticFullPlan, 202: JobAccepted },
      },
      config: { access: 'operator', ownKey: true },
    },
    async (request, reply) => {
      if (request.body?.dry_run)
        return reply.code(200).send(await dryRunSyntheticFull(deps, request.params.chain_id));
      const accepted = await acceptSyntheticFull(deps, request.params.chain_id, idempotencyOf(request));
      reply.header('location', `${API_PREFIX}/jobs/${accepted.job_id}`);
      return reply.code(202).send(accepted);
    },
  );
}

async function withBackups(deps: HttpDeps, facts: ChainFacts): Promise<Chain> {
  const backups = await backupsOfChain(deps.ds, facts.chain.id);
  return { ...toChainSummary(facts), backups: backups.map(toChainBackup) };
}
