import { Type } from 'typebox';
import {
  Policy,
  PolicyCreate,
  PolicyPage,
  PolicyParams,
  PolicyPatch,
  PolicyQuery,
} from '../../../contract/index.js';
import { databaseNow } from '../../../db/job/changes.js';
import {
  changePolicy,
  createPolicy,
  deletePolicy,
  getPolicy,
  listPolicies,
} from '../../../db/policy/policies.js';
import { definePolicy } from '../../schedules/definePolicy.js';
import { pageRequest, toPage } from '../cursor.js';
import { type Api, API_PREFIX, type HttpDeps } from '../deps.js';
import { toPolicy } from '../views/policy.js';
import { policyRunRoutes } from './policyRuns.js';

const tags = ['policies'];
const PATH = `${API_PREFIX}/policies`;
/** A policy removes restore points. */
const config = { access: 'admin' } as const;

/** When VMs are backed up, and what is kept. */
export function policyRoutes(app: Api, deps: HttpDeps): void {
  app.post(
    PATH,
    { schema: { tags, summary: 'Make a policy', body: PolicyCreate, response: { 201: Policy } }, config },
    async ({ body }, reply) => {
      const now = await databaseNow(deps.ds);
      const made = await createPolicy(deps.ds, definePolicy(body, now), body.vms ?? [], now);
      return reply.code(201).header('location', `${PATH}/${made.policy.id}`).send(toPolicy(made));
    },
  );
  app.get(
    PATH,
    {
      schema: { tags, summary: 'List policies', querystring: PolicyQuery, response: { 200: PolicyPage } },
      config: { access: 'viewer' },
    },
    async ({ query }) => toPage(await listPolicies(deps.ds, pageRequest(query, 'id')), toPolicy),
  );
  app.get(
    `${PATH}/:id`,
    {
      schema: { tags, summary: 'Read a policy', params: PolicyParams, response: { 200: Policy } },
      config: { access: 'viewer' },
    },
    async ({ params }) => toPolicy(await getPolicy(deps.ds, params.id)),
  );
  changingRoutes(app, deps);
  policyRunRoutes(app, deps);
}

function changingRoutes(app: Api, deps: HttpDeps): void {
  app.patch(
    `${PATH}/:id`,
    {
      schema: {
        tags,
        summary: 'Change a policy; `vms` replaces its VMs',
        params: PolicyParams,
        body: PolicyPatch,
        response: { 200: Policy },
      },
      config,
    },
    async ({ params, body }) => {
      const { policy } = await getPolicy(deps.ds, params.id);
      const facts = definePolicy(body, await databaseNow(deps.ds), policy);
      return toPolicy(await changePolicy(deps.ds, params.id, facts, body.vms));
    },
  );
  app.delete(
    `${PATH}/:id`,
    {
      schema: {
        tags,
        summary: 'Remove a policy and the history of its runs; its restore points stay',
        params: PolicyParams,
        response: { 204: Type.Null() },
      },
      config,
    },
    async ({ params }, reply) => {
      await deletePolicy(deps.ds, params.id);
      return reply.code(204).send(null);
    },
  );
}
